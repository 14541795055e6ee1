#!/bin/sh
# Builds licbak and installs it for C programs. See --help.
set -eu

# The libraries that a program must link with besides liblicbak.a. licbak.pc and CMake get the list
# from here. A test compares it with what rustc prints (--print native-static-libs), and each
# installation builds a program with it (link_statically).
STATIC_LIBS='-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc'

# The library's name in programs, set by build.rs. Its number rises with the ABI, not with the
# version.
SONAME=liblicbak.so.0

usage() {
    cat <<'EOF'
usage: install.sh --prefix DIR [--libdir DIR] [--destdir DIR]

Builds the library (cargo build --release) and installs below the prefix:

  lib/liblicbak.so.0.x.y     with the links liblicbak.so.0 and liblicbak.so
  lib/liblicbak.a
  lib/pkgconfig/licbak.pc    for pkg-config
  lib/cmake/licbak/          for CMake: find_package(licbak)
  include/licbak.h, and licbak.hpp and licbak_wm.hpp for C++17
  bin/licbak                 the command-line tool
  share/licenses/licbak/     the terms, also those of the parts inside

The whole prefix may be moved afterwards.

  --prefix DIR    where everything goes, for instance /usr/local
  --libdir DIR    where the libraries go: absolute, or relative to the prefix; default: lib
  --destdir DIR   a directory to put before every path, for packagers

From the environment: CC, CFLAGS, LDFLAGS, AR, OBJCOPY, CARGO, CARGO_TARGET_DIR.
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

prefix='' libdir=lib destdir=''

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --prefix=* | --libdir=* | --destdir=*)
            set_option "${1%%=*}" "${1#*=}"
            shift
            ;;
        --prefix | --libdir | --destdir)
            [ $# -ge 2 ] || usage_error "$1 needs a directory"
            set_option "$1" "$2"
            shift 2
            ;;
        *) usage_error "no such option: $1" ;;
        esac
    done
    [ -n "$prefix" ] || usage_error "--prefix is missing"
}

set_option() {
    case $1 in
    --prefix) prefix=$2 ;;
    --libdir) libdir=$2 ;;
    --destdir) destdir=$2 ;;
    esac
    [ -n "$2" ] || usage_error "$1 needs a directory"
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
        cmake_includedir=$(way_back "$libdir_in_prefix")/include
        rpath="\$ORIGIN/../$libdir_in_prefix"
        ;;
    *) # outside of the prefix: nothing can be relative
        pc_prefix=$prefix
        pc_libdir=$libdir
        cmake_includedir=$prefix/include
        rpath=$libdir
        ;;
    esac
    to_bin=$destdir$prefix/bin
    to_include=$destdir$prefix/include
    to_lib=$destdir$libdir
    to_licenses=$destdir$prefix/share/licenses/licbak
}

# ---- Building ---------------------------------------------------------------------------

CARGO=${CARGO:-cargo}
CC=${CC:-cc} # may carry arguments, so it is used unquoted

check_tools() {
    [ "$(uname -s)" = Linux ] || die "this script works on Linux only"
    command -v "$CARGO" >/dev/null ||
        die "cargo is missing: install Rust, by your distribution or from https://rustup.rs"
    command -v "${CC%% *}" >/dev/null ||
        die "a C compiler is missing (${CC%% *}): install gcc or clang, or set CC"
    # shellcheck disable=SC2086 # a list of words
    AR=${AR:-$($CC -print-prog-name=ar)} OBJCOPY=${OBJCOPY:-$($CC -print-prog-name=objcopy)}
    for tool in "$AR" "$OBJCOPY"; do
        command -v "$tool" >/dev/null || die "$tool is missing: install binutils, or set AR and OBJCOPY"
    done
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
    "$CARGO" build --profile "$profile" --locked --lib || die "the library does not build; see the messages above"
    [ "$profile" != dev ] || profile=debug
    built=$(target_directory)/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}$profile
    for file in "$built/liblicbak.so" "$built/liblicbak.a" include/licbak.h; do
        [ -f "$file" ] || die "$file is missing after the build"
    done
}

# Makes all of liblicbak.a one object that shows nothing but licbak_*, so that its parts clash with
# no other SQLite, zstd or library in Rust. The object has no groups, which would be shared with
# other libraries by name. It has no LLVM bitcode, on which tools with LLVM's plugin abort. It has
# no debug information, which can have the builder's folders.
enclose() {
    # shellcheck disable=SC2086 # a list of words
    $CC -r -nostdlib -Wl,--force-group-allocation -Wl,--whole-archive "$1" -o "$work/all.o" &&
        "$OBJCOPY" --wildcard --keep-global-symbol='licbak_*' --strip-debug \
            --remove-section=.llvmbc --remove-section=.llvmcmd "$work/all.o" "$work/licbak.o" &&
        "$AR" rcsD "$2" "$work/licbak.o"
}

# ---- Installing -------------------------------------------------------------------------

temporary=.licbak-install.$$

# shellcheck disable=SC2154 # the directories are set by resolve_directories
remove_temporaries() {
    rm -f "$to_lib/$temporary" "$to_lib/pkgconfig/$temporary" "$to_lib/cmake/licbak/$temporary" \
        "$to_include/$temporary" "$to_bin/$temporary" "$to_licenses/$temporary"
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
Libs.private: $STATIC_LIBS
Cflags: -I\${includedir}
EOF
}

# cmake_file TEMPLATE
cmake_file() {
    escaped_includedir=$(printf '%s\n' "$cmake_includedir" | sed 's/[\\,&]/\\&/g')
    sed -e "s,@VERSION@,$version,g" -e "s,@SONAME@,$SONAME,g" -e "s,@STATIC_LIBS@,$STATIC_LIBS,g" \
        -e "s,@INCLUDEDIR@,$escaped_includedir,g" "$1"
}

install_library() {
    mkdir -p "$to_lib/pkgconfig" "$to_lib/cmake/licbak" "$to_include" "$to_licenses"
    put 755 "$built/liblicbak.so" "$to_lib" "liblicbak.so.$version"
    put_link "liblicbak.so.$version" "$to_lib" "$SONAME"
    put_link "$SONAME" "$to_lib" liblicbak.so
    enclose "$built/liblicbak.a" "$work/liblicbak.a" ||
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

# Proves that liblicbak.a needs no libraries but STATIC_LIBS; the program is thrown away.
link_statically() {
    # shellcheck disable=SC2086 # a list of words
    compile "$to_bin/$temporary" "$to_lib/liblicbak.a" $STATIC_LIBS ||
        die "on this machine liblicbak.a needs other libraries than STATIC_LIBS in install.sh names"
    rm -f "$to_bin/$temporary"
}

install_tool() {
    mkdir -p "$to_bin"
    link_statically
    compile "$to_bin/$temporary" -L"$to_lib" -llicbak "-Wl,-rpath,$rpath" ||
        die "the tool does not build; see the messages above"
    chmod 755 "$to_bin/$temporary"
    mv -f "$to_bin/$temporary" "$to_bin/licbak"
}

parse_arguments "$@"
root=$(cd "$(dirname "$0")" && pwd)
resolve_directories
check_tools
work=$(mktemp -d)
trap remove_temporaries EXIT
trap 'exit 1' HUP INT TERM
build
install_library
install_tool
printf 'licbak %s is installed in %s\n' "$version" "$destdir${prefix:-/}"
