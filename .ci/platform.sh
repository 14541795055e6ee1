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

# use_zig TRIPLE TARGET: has cargo compile C and link by zig, which links with glibc as it was. TARGET is
# zig's name, with the oldest version.
use_zig() {
    zig=${CARGO_TARGET_DIR:-$PWD/target}/zig
    mkdir -p "$zig"
    zig=$(cd "$zig" && pwd)
    python3 -m venv "$zig"
    "$zig/bin/pip" install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
    cat >"$zig/cc-$2" <<EOF
#!/bin/sh
PATH=$zig/bin:\$PATH
exec cargo-zigbuild zig cc -- -target $2 "\$@"
EOF
    chmod +x "$zig/cc-$2"
    words=$(echo "$1" | tr - _)
    export "CC_$words=$zig/cc-$2" "CARGO_TARGET_$(echo "$words" | tr '[:lower:]' '[:upper:]')_LINKER=$zig/cc-$2"
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

# test_c_programs WHAT TARGET [PROGRAM:REASON...]: runs the C programs of the tests on a platform, as
# c-tests/support/platform.rs is told of it, and prints its closing line. Those that are named here are
# skipped: they can't run there, though what they test may work.
test_c_programs() {
    what=$1
    export LICBAK_TARGET="$2"
    shift 2
    CC=$LICBAK_CC ./install.sh --target "$LICBAK_TARGET" --build # the tests wait for no compiler so long
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    names=called_in_wait
    for file in c-tests/*/*.c; do
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
