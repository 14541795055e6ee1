#!/bin/sh
# Puts bugs into a copy of the sources, one at a time, and demands that the suite which is there for
# each catches it. A bug is a patch in planted/, whose first line says what it is, and the second
# "Suite: " and which that is: a suite here, or a file of the Python package's tests. With names, only
# those. Works in target/planted, with the Python that the test tests_of_the_package has made.
set -eu
cd "$(dirname "$0")/../.."
work=$PWD/target/planted
python=$PWD/target/tmp/python/bin/python
CARGO_TARGET_DIR=$work TMPDIR=$work/run LD_LIBRARY_PATH=$work/install/lib LICBAK_SO=$work/install/lib/liblicbak.so
export CARGO_TARGET_DIR TMPDIR LD_LIBRARY_PATH LICBAK_SO
rm -rf "$work/source" "$work/run"
mkdir -p "$work/source" "$work/run"
git ls-files -z | tar -c --null -T - | tar -x -m -C "$work/source" # newer than what was built last
cd "$work/source"
# Built in a hurry: there is much to build, and little to run.
mkdir -p "$work/.cargo"
printf '[build]\nincremental = true\n[profile.release.package.licbak]\nopt-level = 1\ncodegen-units = 64\n' \
    >"$work/.cargo/config.toml"

build() {
    sh install.sh --prefix "$work/install" >"$work/log" 2>&1 || {
        cat "$work/log"
        exit 1
    }
}

# Compiles a suite in C, or one in C++ of two translation units.
compile_suite() {
    case $1 in
    *.cpp) set -- c++ -std=c++17 "$1" "${1%.cpp}_other.cpp" ;;
    *) set -- cc -std=c11 "$1" ;;
    esac
    "$@" -pthread -o "$work/suite" -I "$work/install/include" -L "$work/install/lib" -llicbak
}

# Runs a suite in a directory of its own.
passes() {
    if [ -e "$work/source/python/tests/$1.py" ]; then
        (cd "$work/run" && PYTHONPATH=$work/source/python/src LICBAK_LIBRARY=$LICBAK_SO timeout 600 \
            "$python" -B -m pytest -q -x -p no:cacheprovider "$work/source/python/tests/$1.py") >"$work/log" 2>&1
        return
    fi
    suite_file=$(echo "$work"/source/c-tests/*/"$1".[cp]*)
    if [ "${suite_file%.py}" != "$suite_file" ]; then
        (cd "$work/run" && PYTHONPATH=$work/source/c-tests/support timeout 600 python3 "$suite_file") >"$work/log" 2>&1
    else
        compile_suite "$suite_file" || exit 1
        (cd "$work/run" && timeout 600 "$work/suite") >"$work/log" 2>&1
    fi
}

planted=0 caught=0 passed=' '
[ $# -gt 0 ] || set -- c-tests/faults/planted/*.patch
build
for bug in "$@"; do
    bug=c-tests/faults/planted/$(basename "$bug" .patch).patch
    suite=$(sed -n 's/^Suite: //p' "$bug")
    case $passed in
    *" $suite "*) ;;
    *)
        passes "$suite" || {
            cat "$work/log"
            echo "planted: $suite fails without a bug"
            exit 1
        }
        passed="$passed$suite "
        ;;
    esac
done
for bug in "$@"; do
    bug=c-tests/faults/planted/$(basename "$bug" .patch).patch
    suite=$(sed -n 's/^Suite: //p' "$bug")
    planted=$((planted + 1))
    patch -s -p1 <"$bug"
    build
    if passes "$suite"; then
        echo "planted: not caught by $suite: $(head -n 1 "$bug")"
    else
        caught=$((caught + 1))
        echo "planted: caught by $suite: $(head -n 1 "$bug"): $(head -n 1 "$work/log")"
    fi
    patch -s -R -p1 <"$bug"
done
echo "planted: planted $planted, caught $caught"
[ "$planted" = "$caught" ]
