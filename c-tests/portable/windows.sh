#!/bin/sh
# Compiles the portable programs for Windows, and runs them under Wine.
#
#     c-tests/portable/windows.sh PREFIX [NATIVE]
#
# PREFIX is an installed tree for Windows: bin/licbak.dll, lib/liblicbak.dll.a, include/. NATIVE is
# one for this system, for backups that go from one system to the other; without it, the tree is
# taken that `cargo test --test c` has installed. Prints what each program says, and at the end how
# many have passed. What this machine lacks is named and skipped.
#
# From the environment: WINDOWS_CC, WINE, WINEPREFIX, CARGO_TARGET_DIR, and ONLY: a word in the
# names of the programs to run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || {
    echo "usage: windows.sh PREFIX [NATIVE]" >&2
    exit 2
}
target=${CARGO_TARGET_DIR:-$here/../../target}
native=${2:-$target/tmp/stage}
prefix=$(cd "$1" && pwd)
place=$target/tmp/windows
mkdir -p "$place"
place=$(cd "$place" && pwd)

first_of() {
    for program in "$@"; do
        if command -v "$program" >/dev/null; then
            echo "$program"
            return
        fi
    done
}
CC=${WINDOWS_CC:-$(first_of x86_64-w64-mingw32-gcc-posix x86_64-w64-mingw32-gcc)}
WINE=${WINE:-$(first_of wine64 wine /usr/lib/wine/wine64)}
if [ -z "$CC" ] || [ -z "$WINE" ]; then
    echo "windows: skipped: programs for Windows (no MinGW, or no Wine)"
    exit 0
fi

# Names of files are UTF-8 for Wine where the locale says so. It needs no display and no browser.
export LC_ALL=C.UTF-8 WINEPREFIX="${WINEPREFIX:-$place/wine}" WINEDEBUG=-all DISPLAY=
export WINEDLLOVERRIDES='mscoree,mshtml=;winemenubuilder.exe=d'
[ -d "$WINEPREFIX" ] || timeout 300 "$WINE" wineboot --init >/dev/null 2>&1 </dev/null || true

passed=0 failed=0 skipped=0

fail() {
    echo "$*"
    failed=$((failed + 1))
}

# program NAME [ARGUMENT...]: runs it in a folder of its own, which it leaves empty.
program() {
    name=$1
    shift
    rm -rf "$place/run"
    mkdir "$place/run"
    status=0
    (cd "$place/run" && TMPDIR=. timeout 300 "$WINE" "$place/bin/$name.exe" "$@") \
        >"$place/output" 2>&1 </dev/null || status=$?
    tr -d '\r' <"$place/output" | sed "s/^/${note:-}/"
    skipped=$((skipped + $(grep -c '^[a-z_]*: skipped: ' "$place/output" || true)))
    left=$(ls -A "$place/run")
    if [ "$status" != 0 ] || ! grep -q "^$name: .* checks passed" "$place/output"; then
        fail "${note:-}$name: failed (exit status $status)"
    elif grep -qv "^$name: " "$place/output"; then # as where a process of the test has crashed
        fail "${note:-}$name: failed (unexpected output)"
    elif [ -n "$left" ]; then
        fail "${note:-}$name: failed (it left $left)"
    else
        passed=$((passed + 1))
    fi
}

rm -rf "$place/bin" "$place/exchange"
mkdir "$place/bin" "$place/exchange"
cp "$prefix"/bin/*.dll "$place/bin"
"$CC" -shared -O1 -o "$place/bin/bcryptprimitives.dll" "$here/wine_bcryptprimitives.c" -ladvapi32

for source in "$here"/portable_*"${ONLY:-}"*.c; do
    name=$(basename "$source" .c)
    if "$CC" -std=c11 -Wall -Wextra -Werror -g -O1 -static -I "$prefix/include" -o "$place/bin/$name.exe" "$source" \
        "$prefix/lib/liblicbak.dll.a"; then
        program "$name"
    else
        fail "$name: failed (it does not compile)"
    fi
done

# Once more, with the host called by the threads that wait.
for name in portable_host_store portable_restore; do
    if [ -f "$place/bin/$name.exe" ]; then
        export CALL_IN_WAIT=1 note='in wait '
        program "$name"
        unset CALL_IN_WAIT note
    fi
done

# Backups that go from one system to the other.
exchange="$place/bin/portable_exchange"
if [ ! -f "$exchange.exe" ]; then
    : # ONLY wants others
elif [ ! -f "$native/lib/liblicbak.so" ]; then
    echo "portable_exchange: skipped: backups of the native build ($native has none)"
    skipped=$((skipped + 1))
elif cc -std=c11 -pthread -I "$native/include" -o "$exchange" "$here/portable_exchange.c" \
    "$native/lib/liblicbak.so" -Wl,-rpath,"$(cd "$native/lib" && pwd)"; then
    "$exchange" make "$place/exchange/native" && program portable_exchange check ../exchange/native ||
        fail "portable_exchange: failed (the native build can't make a backup)"
    program portable_exchange make ../exchange/windows
    if "$exchange" check "$place/exchange/windows"; then
        passed=$((passed + 1))
    else
        fail "portable_exchange: failed (the native build can't use the backup)"
    fi
else
    fail "portable_exchange: failed (it does not compile)"
fi

echo "windows: $passed programs passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
