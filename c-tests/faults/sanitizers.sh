#!/bin/sh
# The C programs with every access to memory looked at: by valgrind's memcheck with the library as
# it is installed, and by AddressSanitizer and LeakSanitizer with a library that is built for them
# (the short form, `sanitized` in run.rs, looks at the programs alone); and by ThreadSanitizer with
# a library and a standard library that are built for it. Prints what each has counted. Part of
# torture.sh. With names, only those.
set -eu
cd "$(dirname "$0")/../.."
: "${CC:=cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
PROGRAMS='calls props names restore list events lifetime reentry in_wait in_wait_ends host_store host_many host_misuse host_inside'
# Valgrind is slow, and runs one thread at a time.
FEW='props list restore host_store'
# Those that do several things at once.
THREADED='crowd reentry cancel events lifetime in_wait in_wait_ends races host_many'

# compile PROGRAM LIBRARY-DIRECTORY FLAG...
compile() {
    program=$1 directory=$2
    shift 2
    $CC -std=c11 -g -O1 -pthread -Iinclude "$@" -o "$work/$program" c-tests/*/"$program.c" \
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

# The flags of sanitizers are those of an unstable compiler, which the stable one takes if it is
# told to.
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

# What the standard library's locks and counts put in order shows only where it is built for it too;
# then nothing has to be suppressed. SQLite and zstd are built for it as well, without FORTIFY,
# whose functions it can't look into (HOST_CFLAGS of .cargo/config.toml). Programs are linked with
# the runtime of Rust's compiler, since that of C's may lack what Rust calls. A child leaves by
# _exit, so warnings are counted in what is said.
thread() {
    target=$(rustc -vV | sed -n 's/^host: //p')
    rust=$(rustc --print sysroot)/lib/rustlib
    runtime=$(ls "$rust/$target"/lib/librustc-*_rt.tsan.a 2>/dev/null) ||
        { skip ThreadSanitizer 'rustc has none here'; return 0; }
    [ -e "$rust/src/rust/library/Cargo.lock" ] ||
        { skip ThreadSanitizer 'no source of the standard library: rustup component add rust-src'; return 0; }
    echo 'int main(void) { return 0; }' >"$work/probe.c"
    if ! $CC -fsanitize=thread -c -o "$work/probe.o" "$work/probe.c" 2>/dev/null; then
        skip ThreadSanitizer "$CC has none"
        return 0
    fi
    built="${CARGO_TARGET_DIR:-$PWD/target}/sanitizers/thread"
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$built" HOST_CFLAGS='-fsanitize=thread -g1' \
        CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
        RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
        cargo build --locked --release --quiet --lib --target "$target" -Zbuild-std=std,panic_unwind
    libraries="$work/thread"
    link "$built/$target/release" "$libraries"
    count=0 failed=0 warnings=0
    for program in $THREADED; do
        $CC -std=c11 -g -O1 -pthread -Iinclude -fsanitize=thread -DTHREAD_SANITIZER -c -o "$work/$program.o" c-tests/*/"$program.c"
        $CC -pthread -rdynamic -o "$work/$program" "$work/$program.o" \
            -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
            -L"$libraries" -llicbak -Wl,-rpath,"$libraries" -ldl -lm -lrt -lstdc++
        count=$((count + 1)) said=0
        "$work/$program" >"$work/output" 2>&1 || said=1
        found=$(grep -c 'WARNING: ThreadSanitizer' "$work/output" || :)
        if [ "$said$found" != 00 ]; then
            cat "$work/output" >&2
        fi
        failed=$((failed + said)) warnings=$((warnings + found))
    done
    echo "ThreadSanitizer: programs $count, failed $failed, threads 64, warnings $warnings"
    [ "$failed$warnings" = 00 ]
}

# Under the name by which programs load it.
link() {
    mkdir -p "$2"
    ln -s "$1/liblicbak.so" "$2/liblicbak.so"
    ln -s "$1/liblicbak.so" "$2/liblicbak.so.0"
}

[ $# -gt 0 ] || set -- memcheck address thread
for part in "$@"; do "$part"; done
