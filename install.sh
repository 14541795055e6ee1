#!/bin/sh
# Builds licbak and installs it for C programs. See --help.
set -eu

# The libraries that a program must link with besides liblicbak.a, on Linux and on Windows. licbak.pc
# and CMake get the list from here. A test compares it with what rustc prints (--print
# native-static-libs), and each installation builds a program with it (link_statically).
STATIC_LIBS='-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc'
WINDOWS_STATIC_LIBS='-lkernel32 -lntdll -luserenv -lws2_32 -ldbghelp'

# The library's name in programs, set by build.rs. Its number rises with the ABI, not with the
# version.
SONAME=liblicbak.so.0

usage() {
    cat <<'EOF'
usage: install.sh [--target TARGET] --prefix DIR [--libdir DIR] [--destdir DIR]

Builds the library (cargo build --release) and installs below the prefix:

  lib/liblicbak.so.0.x.y     with the links liblicbak.so.0 and liblicbak.so
  lib/liblicbak.a
  lib/pkgconfig/licbak.pc    for pkg-config
  lib/cmake/licbak/          for CMake: find_package(licbak)
  include/licbak.h, and licbak.hpp and licbak_wm.hpp for C++17
  bin/licbak                 the command-line tool
  share/licenses/licbak/     the terms, also those of the parts inside

For Windows, in place of the libraries and the tool:

  bin/licbak.dll             with bin/licbak.exe, the tool
  lib/liblicbak.dll.a        the import library for MinGW
  lib/licbak.def             from which Visual C++ makes its own: lib /def:licbak.def /machine:x64
  lib/liblicbak.a            for MinGW; programs define LICBAK_STATIC
  lib/wmvcore/wmvcore.dll    for programs that import WMCreateBackupRestorer, see docs/windows.md

The whole prefix may be moved afterwards.

  --target TARGET what to build for: x86_64-pc-windows-gnu; default: this machine
  --prefix DIR    where everything goes, for instance /usr/local
  --libdir DIR    where the libraries go: absolute, or relative to the prefix; default: lib
  --destdir DIR   a directory to put before every path, for packagers

From the environment: CC, CFLAGS, LDFLAGS, AR, OBJCOPY, CARGO, RUSTC, CARGO_TARGET_DIR; for Windows
also CXX, CXXFLAGS. A target for which Rust has no standard library here gets one from the source,
where Rust has that (rust-src).
Files are replaced by renaming, so that running programs are not disturbed.
EOF
}

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

usage_error() {
    printf 'install.sh: %s; see install.sh --help\n' "$*" >&2
    exit 2
}

# ---- The command line -------------------------------------------------------------------

target='' prefix='' libdir=lib destdir=''

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --target=* | --prefix=* | --libdir=* | --destdir=*)
            set_option "${1%%=*}" "${1#*=}"
            shift
            ;;
        --target | --prefix | --libdir | --destdir)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            set_option "$1" "$2"
            shift 2
            ;;
        *) usage_error "no such option: $1" ;;
        esac
    done
    [ -n "$prefix" ] || usage_error "--prefix is missing"
    case $target in
    '') system=linux ;;
    x86_64-pc-windows-gnu) system=windows ;;
    *) usage_error "no such target: $target" ;;
    esac
}

set_option() {
    case $1 in
    --target) target=$2 ;;
    --prefix) prefix=$2 ;;
    --libdir) libdir=$2 ;;
    --destdir) destdir=$2 ;;
    esac
    [ -n "$2" ] || usage_error "$1 needs a value"
}

# An absolute path without a slash at its end; "" for the root directory.
absolute() {
    case $1 in
    /*) path=$1 ;;
    *) path=$PWD/$1 ;;
    esac
    while [ "$path" != "${path%/}" ]; do path=${path%/}; done
    printf '%s\n' "$path"
}

# "../.." for "a/b": the way back from a directory that is given relative to another.
way_back() {
    printf '%s\n' "$1" | sed 's,//*,/,g; s,/$,,; s,[^/][^/]*,..,g'
}

resolve_directories() {
    prefix=$(absolute "$prefix")
    [ -z "$destdir" ] || destdir=$(absolute "$destdir")
    case $libdir in
    /*) libdir=$(absolute "$libdir") ;;
    *) libdir=$(absolute "$prefix/$libdir") ;;
    esac
    case $libdir in
    "$prefix"/*)
        libdir_in_prefix=${libdir#"$prefix"/}
        pc_prefix="\${pcfiledir}/../$(way_back "$libdir_in_prefix")"
        pc_libdir="\${prefix}/$libdir_in_prefix"
        cmake_prefix=$(way_back "$libdir_in_prefix")
        rpath="\$ORIGIN/../$libdir_in_prefix"
        ;;
    *) # outside of the prefix: nothing can be relative
        pc_prefix=$prefix
        pc_libdir=$libdir
        cmake_prefix=$prefix
        rpath=$libdir
        ;;
    esac
    to_bin=$destdir$prefix/bin
    to_include=$destdir$prefix/include
    to_lib=$destdir$libdir
    to_wmvcore=$to_lib/wmvcore
    to_licenses=$destdir$prefix/share/licenses/licbak
}

# ---- Building ---------------------------------------------------------------------------

CARGO=${CARGO:-cargo}
RUSTC=${RUSTC:-rustc}

# What differs between the systems; CC and CXX may carry arguments, so they are used unquoted.
set_up_system() {
    case $system in
    linux)
        compilers=CC CC=${CC:-cc}
        libraries='liblicbak.so liblicbak.a' static_libs=$STATIC_LIBS static_cflags=''
        ;;
    windows)
        # The threads of C++, which licbak_wm.hpp uses, are those of POSIX.
        compilers='CC CXX'
        CC=${CC:-x86_64-w64-mingw32-gcc-posix} CXX=${CXX:-x86_64-w64-mingw32-g++-posix}
        libraries='licbak.dll liblicbak.dll.a liblicbak.a'
        static_libs=$WINDOWS_STATIC_LIBS static_cflags=-DLICBAK_STATIC
        ;;
    esac
}

check_tools() {
    [ "$(uname -s)" = Linux ] || die "this script works on Linux only"
    command -v "$CARGO" >/dev/null ||
        die "cargo is missing: install Rust, by your distribution or from https://rustup.rs"
    for compiler in $compilers; do
        eval "tool=\${$compiler%% *}"
        command -v "$tool" >/dev/null ||
            die "a compiler is missing ($tool): install gcc or clang, or set $compiler"
    done
    # shellcheck disable=SC2086 # a list of words
    AR=${AR:-$($CC -print-prog-name=ar)} OBJCOPY=${OBJCOPY:-$($CC -print-prog-name=objcopy)}
    for tool in "$AR" "$OBJCOPY"; do
        command -v "$tool" >/dev/null || die "$tool is missing: install binutils, or set AR and OBJCOPY"
    done
}

# What cargo is told about a target that is not this machine: its C compiler, and how Rust's standard
# library for it is had.
set_up_target() {
    words=$(printf '%s\n' "$target" | sed 's/-/_/g')
    capitals=$(printf '%s\n' "$words" | tr '[:lower:]' '[:upper:]')
    export "CC_$words=$CC" "AR_$words=$AR" "CARGO_TARGET_${capitals}_LINKER=${CC%% *}"
    CARGO_BUILD_TARGET=$target
    export CARGO_BUILD_TARGET
    [ -z "$(ls "$("$RUSTC" --print target-libdir --target "$target")" 2>/dev/null)" ] || return 0
    [ -d "$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library" ] ||
        die "Rust has no standard library for $target: rustup target add $target, or rustup component \
add rust-src; or set CARGO and RUSTC to those of a distribution that has the source"
    RUSTC_BOOTSTRAP=1 # a stable compiler, too, can build its standard library
    export RUSTC RUSTC_BOOTSTRAP
    build_std=-Zbuild-std=std,panic_unwind
}

crate_version() {
    sed -n 's/^version = "\([0-9][^"]*\)".*/\1/p' Cargo.toml | sed 1q
}

target_directory() {
    directory=$("$CARGO" metadata --format-version 1 --no-deps --offline 2>/dev/null |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p') || directory=''
    printf '%s\n' "${directory:-${CARGO_TARGET_DIR:-$PWD/target}}"
}

build() {
    if [ -n "${CARGO_TARGET_DIR:-}" ]; then # relative to the current directory, not to the crate
        CARGO_TARGET_DIR=$(absolute "$CARGO_TARGET_DIR")
        export CARGO_TARGET_DIR
    fi
    cd "$root"
    version=$(crate_version)
    [ -n "$version" ] || die "no version in $root/Cargo.toml"
    profile=${LICBAK_PROFILE:-release} # dev is for people who change licbak, see CONTRIBUTING.md
    build_std=''
    [ -z "$target" ] || set_up_target
    "$CARGO" build --profile "$profile" --locked --lib ${build_std:+"$build_std"} ||
        die "the library does not build; see the messages above"
    [ "$profile" != dev ] || profile=debug
    built=$(target_directory)/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}$profile
    for file in $libraries; do
        [ -f "$built/$file" ] || die "$built/$file is missing after the build"
    done
}

# Makes all of liblicbak.a one object that shows nothing but licbak_*, so that its parts clash with
# no other SQLite, zstd or library in Rust. The object has no groups, which would be shared with
# other libraries by name. It has no LLVM bitcode, on which tools with LLVM's plugin abort. It has
# no debug information, which can have the builder's folders.
enclose_linux() {
    # shellcheck disable=SC2086 # a list of words
    $CC -r -nostdlib -Wl,--force-group-allocation -Wl,--whole-archive "$1" -o "$work/all.o" &&
        "$OBJCOPY" --wildcard --keep-global-symbol='licbak_*' --strip-debug \
            --remove-section=.llvmbc --remove-section=.llvmcmd "$work/all.o" "$work/licbak.o" &&
        "$AR" rcsD "$2" "$work/licbak.o"
}

# MinGW's linker makes no such object: it looks for parts of a whole program. So what would be hidden
# gets names that nobody else has.
enclose_windows() {
    # shellcheck disable=SC2086 # a list of words
    "$($CC -print-prog-name=nm)" --extern-only --defined-only "$1" >"$work/symbols" &&
        awk 'NF == 3 && $3 !~ /^licbak_/ { print $3, "licbak_inside_" $3 }' "$work/symbols" |
        sort -u >"$work/names" &&
        "$OBJCOPY" --enable-deterministic-archives --redefine-syms="$work/names" --strip-debug \
            --remove-section=.llvmbc --remove-section=.llvmcmd "$1" "$2"
}

# ---- Installing -------------------------------------------------------------------------

temporary=.licbak-install.$$

# shellcheck disable=SC2154 # the directories are set by resolve_directories
remove_temporaries() {
    rm -f "$to_lib/$temporary" "$to_lib/pkgconfig/$temporary" "$to_lib/cmake/licbak/$temporary" \
        "$to_wmvcore/$temporary" "$to_include/$temporary" "$to_bin/$temporary" \
        "$to_licenses/$temporary"
    rm -rf "$work"
}

# put MODE FILE DIRECTORY NAME: never writes into an old file, which may be mapped.
put() {
    cp -f "$2" "$3/$temporary"
    chmod "$1" "$3/$temporary"
    mv -f "$3/$temporary" "$3/$4"
}

# put_link TEXT DIRECTORY NAME
put_link() {
    ln -s "$1" "$2/$temporary"
    mv -f "$2/$temporary" "$2/$3"
}

# put_text TEXT DIRECTORY NAME
put_text() {
    printf '%s\n' "$1" >"$2/$temporary"
    chmod 644 "$2/$temporary"
    mv -f "$2/$temporary" "$2/$3"
}

pkg_config_file() {
    cat <<EOF
prefix=$pc_prefix
libdir=$pc_libdir
includedir=\${prefix}/include

Name: licbak
Description: A backup restorer object for licence files
Version: $version
Libs: -L\${libdir} -llicbak
Libs.private: $static_libs
Cflags: -I\${includedir}
EOF
    [ "$system" != windows ] || printf 'Cflags.private: -DLICBAK_STATIC\n'
}

# cmake_file TEMPLATE
cmake_file() {
    escaped_prefix=$(printf '%s\n' "$cmake_prefix" | sed 's/[\\,&]/\\&/g')
    sed -e "s,@VERSION@,$version,g" -e "s,@SONAME@,$SONAME,g" -e "s,@STATIC_LIBS@,$static_libs,g" \
        -e "s,@PREFIX@,$escaped_prefix,g" "$1"
}

# The names that the DLL exports, for linkers that make an import library of their own.
definition_file() {
    printf 'LIBRARY licbak.dll\nEXPORTS\n'
    sed -n 's/^LICBAK_API .*LICBAK_CALL \(licbak_[a-z_]*\)(.*/    \1/p' include/licbak.h
}

install_shared_linux() {
    put 755 "$built/liblicbak.so" "$to_lib" "liblicbak.so.$version"
    put_link "liblicbak.so.$version" "$to_lib" "$SONAME"
    put_link "$SONAME" "$to_lib" liblicbak.so
}

install_shared_windows() {
    put 755 "$built/licbak.dll" "$to_bin" licbak.dll
    put 644 "$built/liblicbak.dll.a" "$to_lib" liblicbak.dll.a
    text=$(definition_file)
    put_text "$text" "$to_lib" licbak.def
}

install_library() {
    mkdir -p "$to_bin" "$to_lib/pkgconfig" "$to_lib/cmake/licbak" "$to_include" "$to_licenses"
    "install_shared_$system"
    "enclose_$system" "$built/liblicbak.a" "$work/liblicbak.a" ||
        die "liblicbak.a can't be made into one object; see the messages above"
    put 644 "$work/liblicbak.a" "$to_lib" liblicbak.a
    for header in licbak.h licbak.hpp licbak_wm.hpp; do
        put 644 "include/$header" "$to_include" "$header"
    done
    for file in LICENSE-MIT LICENSE-APACHE LICENSE-THIRD-PARTY; do
        put 644 "$file" "$to_licenses" "$file"
    done
    text=$(pkg_config_file)
    put_text "$text" "$to_lib/pkgconfig" licbak.pc
    for file in licbakConfig.cmake licbakConfigVersion.cmake; do
        text=$(cmake_file "cmake/$file.in")
        put_text "$text" "$to_lib/cmake/licbak" "$file"
    done
}

# compile OUTPUT LIBRARY...: compiles the tool with the installed library.
compile() {
    output=$1
    shift
    # shellcheck disable=SC2086 # CC, CFLAGS and LDFLAGS are lists of words
    $CC -std=c11 ${CFLAGS:--O2} -I"$to_include" -o "$output" examples-c/licbak*.c \
        ${LDFLAGS:-} "$@"
}

# Proves that liblicbak.a needs no libraries but those in the list; the program is thrown away.
link_statically() {
    # shellcheck disable=SC2086 # a list of words
    compile "$to_bin/$temporary" $static_cflags "$to_lib/liblicbak.a" $static_libs ||
        die "on this machine liblicbak.a needs other libraries than $static_libs"
    rm -f "$to_bin/$temporary"
}

# install_tool NAME OPTION...
install_tool() {
    name=$1
    shift
    link_statically
    compile "$to_bin/$temporary" -L"$to_lib" -llicbak "$@" ||
        die "the tool does not build; see the messages above"
    chmod 755 "$to_bin/$temporary"
    mv -f "$to_bin/$temporary" "$to_bin/$name"
}

# In a folder of its own, since it would serve every program of the folder that it lies in.
install_wmvcore() {
    mkdir -p "$to_wmvcore"
    # shellcheck disable=SC2086 # lists of words
    $CXX -std=c++17 ${CXXFLAGS:--O2} $static_cflags -I"$to_include" -shared -static \
        -s -Wl,--no-insert-timestamp -o "$to_wmvcore/$temporary" examples-c/wmvcore.cpp examples-c/wmvcore.def \
        ${LDFLAGS:-} "$to_lib/liblicbak.a" $static_libs ||
        die "wmvcore.dll does not build; see the messages above"
    chmod 755 "$to_wmvcore/$temporary"
    mv -f "$to_wmvcore/$temporary" "$to_wmvcore/wmvcore.dll"
    put 644 examples-c/wmvcore.def "$to_wmvcore" wmvcore.def
}

parse_arguments "$@"
root=$(cd "$(dirname "$0")" && pwd)
resolve_directories
set_up_system
check_tools
work=$(mktemp -d)
trap remove_temporaries EXIT
trap 'exit 1' HUP INT TERM
build
install_library
case $system in
linux) install_tool licbak "-Wl,-rpath,$rpath" ;;
windows)
    install_tool licbak.exe -s -Wl,--no-insert-timestamp
    install_wmvcore
    ;;
esac
printf 'licbak %s is installed in %s\n' "$version" "$destdir${prefix:-/}"
