# Sourced by the script of a platform, which has changed to the project's folder.

# need PACKAGE...: installs those of Debian's packages that are missing, where this user may.
need() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    missing=
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        apt-get update -qq
        # Words, not one argument.
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
}

# need_standard_library TARGET: Rust's for that target, by rustup; without it, Debian's Rust has the
# source, which install.sh compiles.
need_standard_library() {
    if [ -z "$(ls "$(rustc --print target-libdir --target "$1")" 2>/dev/null)" ] &&
        ! rustup target add "$1" >/dev/null 2>&1; then
        need rustc-web cargo-web rust-web-src
        if [ -d /usr/lib/rustlib/src/rust/library ]; then
            export PATH="/usr/bin:$PATH" CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc
        fi
    fi
}

# skip_without WHAT COMMAND...: ends with the closing line of a platform that can't be tested here.
skip_without() {
    what=$1
    shift
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "skipped: $what (no $tool)"
            exit 0
        }
    done
}

# test_c_programs WHAT TARGET FOLDER [PROGRAM:REASON...]: runs the C programs of the tests, those in the
# folder of c-tests or in all ('*'), on a platform, as c-tests/support/platform.rs is told of it, and
# prints its closing line. Those that are named here are skipped: they can't run there, though what
# they test may work.
test_c_programs() {
    what=$1 folder=$3
    export LICBAK_TARGET="$2"
    shift 3
    CC=$LICBAK_CC ./install.sh --target "$LICBAK_TARGET" --build # the tests wait for no compiler so long
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    names=called_in_wait
    for file in c-tests/$folder/*.c; do
        name=$(basename "$file" .c) reason=''
        for skipped in "$@"; do
            [ "${skipped%%:*}" != "$name" ] || reason=${skipped#*:}
        done
        if [ -n "$reason" ]; then
            echo "skipped: $name ($reason)" >>"$log"
        else
            names="$names $name" # a file that is no test by itself has no test of its name
        fi
    done
    # shellcheck disable=SC2086 # words
    { cargo test --locked --release --test c -- --exact $names 2>&1 && echo "exit status 0" ||
        echo "exit status $?"; } | tee -a "$log"
    awk -v platform="$what" -f c-tests/support/closing.awk "$log"
}
