#!/bin/sh
# The C programs with every access to memory looked at: by valgrind's memcheck with the library as it is
# installed, and by AddressSanitizer and LeakSanitizer with a library that is built for them (the short form,
# `sanitized` in run.rs, looks at the programs alone). Prints what each has counted. Part of torture.sh.
set -eu
cd "$(dirname "$0")/.."
: "${CC:=cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
PROGRAMS='calls props names restore list events lifetime reentry host_store host_many host_misuse host_inside'
# Valgrind is slow, and runs one thread at a time.
FEW='props list restore host_store'

# compile PROGRAM LIBRARY-DIRECTORY FLAG...
compile() {
    program=$1 directory=$2
    shift 2
    $CC -std=c11 -g -O1 -pthread -Iinclude "$@" -o "$work/$program" "c-tests/$program.c" \
        -L"$directory" -llicbak -Wl,-rpath,"$directory"
}

# check NAME PROGRAMS COMMAND...: runs each program by the command, and says how many it failed.
check() {
    name=$1 programs=$2 count=0 failed=0
    shift 2
    for program in $programs; do
        count=$((count + 1))
        if ! "$@" "$work/$program" >"$work/output" 2>&1; then
            failed=$((failed + 1))
            cat "$work/output" >&2
        fi
    done
    echo "$name: programs $count, with errors or leaks $failed"
    [ "$failed" = 0 ]
}

skip() {
    echo "skipped: $1 ($2)"
}

memcheck() {
    command -v valgrind >/dev/null || { skip memcheck 'valgrind is not installed'; return 0; }
    cargo build --locked --release --quiet
    libraries="$work/plain"
    link "${CARGO_TARGET_DIR:-$PWD/target}/release" "$libraries"
    for program in $FEW; do compile "$program" "$libraries"; done
    check memcheck "$FEW" valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite
}

# The flags of sanitizers are those of an unstable compiler, which the stable one takes if it is told to.
address() {
    target=$(rustc -vV | sed -n 's/^host: //p')
    if ! echo 'int main(void) { return 0; }' | $CC -fsanitize=address -x c -o "$work/probe" - 2>/dev/null; then
        skip AddressSanitizer "$CC has none"
        return 0
    fi
    built="${CARGO_TARGET_DIR:-$PWD/target}/sanitizers/address"
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$built" \
        RUSTFLAGS='-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer' \
        cargo build --locked --release --quiet --target "$target"
    libraries="$work/address"
    link "$built/$target/release" "$libraries"
    for program in $PROGRAMS; do compile "$program" "$libraries" -fsanitize=address; done
    check AddressSanitizer "$PROGRAMS" env ASAN_OPTIONS=detect_leaks=1
}

# Under the name by which programs load it.
link() {
    mkdir -p "$2"
    ln -s "$1/liblicbak.so" "$2/liblicbak.so"
    ln -s "$1/liblicbak.so" "$2/liblicbak.so.0"
}

memcheck
address
