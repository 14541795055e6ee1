#!/bin/sh
# Builds licbak and installs it for C programs. See --help.
set -eu

# The libraries that a program must link with besides liblicbak.a, on Linux and on Windows. licbak.pc
# and CMake get the list from here. A test compares it with what rustc prints (--print
# native-static-libs), and each installation builds a program with it (link_statically).
STATIC_LIBS='-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc'
WINDOWS_STATIC_LIBS='-lbcrypt -ladvapi32 -lkernel32 -lntdll -luserenv -lws2_32 -ldbghelp'

# The library's name in programs, set by build.rs. Its number rises with the ABI, not with the
# version.
SONAME=liblicbak.so.0

root=$(cd "$(dirname "$0")" && pwd)

# The oldest Rust that compiles the library.
oldest_rust() {
    sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "$root/Cargo.toml"
}

usage() {
    cat <<EOF
usage: install.sh [--target TARGET] --prefix DIR [--libdir DIR] [--destdir DIR]
       install.sh [--target TARGET] --build
       install.sh --uninstall --prefix DIR [--destdir DIR]

Builds the library and installs it. This needs Linux, a C compiler, binutils, and cargo of Rust
$(oldest_rust) or later, which https://rustup.rs installs.
EOF
    cat <<'EOF'

Below the prefix it installs:

  lib/liblicbak.so.0.x.y     with the links liblicbak.so.0 and liblicbak.so
  lib/liblicbak.a
  lib/pkgconfig/licbak.pc    for pkg-config
  lib/cmake/licbak/          for CMake: find_package(licbak)
  include/licbak.h, and licbak.hpp and licbak_wm.hpp for C++17
  bin/licbak                 the command-line tool
  share/man/                 licbak(1), licbak(3), and a page for each function
  share/                     completion of the tool's command line in bash, zsh and fish
  share/licenses/licbak/     the terms, also those of the parts inside
  share/licbak/manifest      the names of all this, for --uninstall

For Windows, in place of the libraries, the tool, the manual and the completion:

  bin/licbak.dll             with bin/licbak.exe, the tool
  lib/liblicbak.dll.a        the import library for MinGW
  lib/licbak.def             from which Visual C++ makes its own: lib /def:licbak.def /machine:x64
  lib/liblicbak.a            for MinGW; programs define LICBAK_STATIC
  lib/wmvcore/wmvcore.dll    for programs that import WMCreateBackupRestorer, see docs/windows.md

The whole prefix may be moved afterwards.

  --target TARGET what to build for, default this machine: a Linux that Rust knows, such as
                  aarch64-unknown-linux-gnu or x86_64-unknown-linux-musl, or x86_64-pc-windows-gnu
  --prefix DIR    where everything goes, for instance /usr/local
  --libdir DIR    where the libraries go: absolute, or relative to the prefix; default: lib
  --destdir DIR   a directory to put before every path, for packagers
  --build         only build. A later call takes what was built, unless the sources have changed:
                  so root installs without cargo.
  --uninstall     remove what was installed, and the folders that were made for it and are empty

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

action=install target='' prefix='' libdir=lib destdir=''

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --build | --uninstall)
            action=${1#--}
            shift
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
    [ -n "$prefix" ] || [ "$action" = build ] || usage_error "--prefix is missing"
    case $target in
    '' | *-linux-gnu* | *-linux-musl*) system=linux ;;
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
    to_share=$destdir$prefix/share
    to_licenses=$to_share/licenses/licbak
    to_manifest=$to_share/licbak
}

# ---- Building ---------------------------------------------------------------------------

CARGO=${CARGO:-cargo}
RUSTC=${RUSTC:-rustc}

# The C compiler for a Linux, as distributions call it.
linux_compiler() {
    case $target in
    '' | "$("$RUSTC" -vV 2>/dev/null | sed -n 's/^host: //p')") echo cc ;;
    x86_64-*-musl) echo musl-gcc ;;
    *) echo "$target" | sed 's/-unknown//; s/$/-gcc/' ;;
    esac
}

# What differs between the systems; CC and CXX may carry arguments, so they are used unquoted.
set_up_system() {
    case $system in
    linux)
        compilers=CC CC=${CC:-$(linux_compiler)}
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

# is_older VERSION OTHER: compares 1.91 with 1.91.
is_older() {
    [ "${1%%.*}" -lt "${2%%.*}" ] || { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${1#*.}" -lt "${2#*.}" ]; }
}

# Cargo would refuse an old compiler by itself, after it has fetched what the library is made of.
check_cargo() {
    oldest=$(oldest_rust)
    advice="install Rust $oldest or later: https://rustup.rs"
    command -v "$CARGO" >/dev/null || die "cargo is missing: $advice
(where another user has it, run install.sh --build as that user first)"
    found=$("$CARGO" --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$found" ] || die "$CARGO --version does not work: $advice"
    ! is_older "$found" "$oldest" || die "cargo $found is too old: $advice"
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

enter_sources() {
    if [ -n "${CARGO_TARGET_DIR:-}" ]; then # relative to the current directory, not to the crate
        CARGO_TARGET_DIR=$(absolute "$CARGO_TARGET_DIR")
        export CARGO_TARGET_DIR
    fi
    cd "$root"
    version=$(crate_version)
    [ -n "$version" ] || die "no version in $root/Cargo.toml"
    profile=${LICBAK_PROFILE:-release} # dev is for people who change licbak, see CONTRIBUTING.md
    ready=${CARGO_TARGET_DIR:-$root/target}/install/${target:-native}-$profile
}

# Tells whether --build has been here after the last change of the sources.
is_ready() {
    [ -f "$ready/made" ] &&
        [ -z "$(find Cargo.toml Cargo.lock build.rs .cargo src -newer "$ready/made" | sed 1q)" ]
}

# build DIRECTORY: puts the libraries there.
build() {
    build_std=''
    [ -z "$target" ] || set_up_target
    "$CARGO" build --profile "$profile" --locked --lib ${build_std:+"$build_std"} ||
        die "the library does not build; see the messages above"
    folder=$profile
    [ "$profile" != dev ] || folder=debug
    built=$(target_directory)/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}$folder
    for file in $libraries; do
        [ -f "$built/$file" ] || die "$built/$file is missing after the build"
        [ "$file" = liblicbak.a ] || cp "$built/$file" "$1"
    done
    "enclose_$system" "$built/liblicbak.a" "$1/liblicbak.a" ||
        die "liblicbak.a can't be made into one object; see the messages above"
}

# The mark is older than what was built, so that a change during the build counts.
build_ahead() {
    rm -rf "$ready"
    mkdir -p "$ready"
    touch "$work/made"
    build "$ready"
    mv "$work/made" "$ready/made"
    printf 'licbak %s is built: install.sh --prefix DIR now needs no cargo\n' "$version"
}

take_libraries() {
    products=$work
    if is_ready; then products=$ready; else build "$work"; fi
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
# gets names that nobody else has. Rustup's standard library has its debug information in members of
# its own, some of which are empty, and binutils take an empty one for a failure. Where a plugin of
# LLVM's is installed, they list no symbols of what has bitcode: so that goes first.
enclose_windows() {
    debug=$("$AR" t "$1" | grep '\.dwo$') || debug=''
    # shellcheck disable=SC2086 # lists of words
    cp "$1" "$work/all.a" && { [ -z "$debug" ] || "$AR" dD "$work/all.a" $debug; } &&
        "$OBJCOPY" --enable-deterministic-archives --strip-debug --remove-section=.llvmbc \
            --remove-section=.llvmcmd "$work/all.a" "$work/plain.a" &&
        "$($CC -print-prog-name=nm)" --extern-only --defined-only "$work/plain.a" >"$work/symbols" &&
        awk 'NF == 3 && $3 !~ /^licbak_/ { print $3, "licbak_inside_" $3 }' "$work/symbols" |
        sort -u >"$work/names" &&
        "$OBJCOPY" --enable-deterministic-archives --redefine-syms="$work/names" "$work/plain.a" "$2"
}

# ---- Installing -------------------------------------------------------------------------

temporary=''

clean_up() {
    [ -z "$temporary" ] || rm -f "$temporary"
    keep_manifest || :
    rm -rf "$work"
}

# note PATH: remembers what was put there: relative to the prefix, which may be moved, or else from
# the root directory. A folder ends with a slash.
note() {
    case $1 in
    "$destdir$prefix/") echo ./ ;;
    "$destdir$prefix"/*) printf '%s\n' "${1#"$destdir$prefix"/}" ;;
    "$destdir"/?*) printf '%s\n' "${1#"$destdir"}" ;;
    esac >>"$work/notes"
}

# Makes a folder and its parents, and notes those that were not there.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    mkdir "$1"
    note "$1/"
}

# begin DIRECTORY: makes room for a new file, so that none is ever written into an old one, which may
# be mapped.
begin() {
    make_folder "$1"
    temporary=$1/.licbak-install.$$
}

# end DIRECTORY NAME
end() {
    mv -f "$temporary" "$1/$2"
    temporary=''
    note "$1/$2"
}

# put MODE FILE DIRECTORY NAME
put() {
    begin "$3"
    cp -f "$2" "$temporary"
    chmod "$1" "$temporary"
    end "$3" "$4"
}

# put_link TEXT DIRECTORY NAME
put_link() {
    begin "$2"
    ln -s "$1" "$temporary"
    end "$2" "$3"
}

# put_text TEXT DIRECTORY NAME
put_text() {
    begin "$2"
    printf '%s\n' "$1" >"$temporary"
    chmod 644 "$temporary"
    end "$2" "$3"
}

# Adds what was noted to the manifest of earlier installations, also where this one has failed.
keep_manifest() {
    [ -s "$work/notes" ] || return 0
    make_folder "$to_manifest"
    note "$to_manifest/manifest"
    [ ! -f "$to_manifest/manifest" ] || cp "$to_manifest/manifest" "$work/old"
    touch "$work/old"
    text=$(awk '!seen[$0]++' "$work/old" "$work/notes")
    put_text "$text" "$to_manifest" manifest
    rm "$work/notes"
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
    put 755 "$products/liblicbak.so" "$to_lib" "liblicbak.so.$version"
    put_link "liblicbak.so.$version" "$to_lib" "$SONAME"
    put_link "$SONAME" "$to_lib" liblicbak.so
}

install_shared_windows() {
    put 755 "$products/licbak.dll" "$to_bin" licbak.dll
    put 644 "$products/liblicbak.dll.a" "$to_lib" liblicbak.dll.a
    text=$(definition_file)
    put_text "$text" "$to_lib" licbak.def
}

install_library() {
    "install_shared_$system"
    put 644 "$products/liblicbak.a" "$to_lib" liblicbak.a
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

# Proves that liblicbak.a needs no libraries but those in the list; nobody gets the program.
link_statically() {
    # shellcheck disable=SC2086 # a list of words
    compile "$work/static" $static_cflags "$to_lib/liblicbak.a" $static_libs ||
        die "on this machine liblicbak.a needs other libraries than $static_libs"
}

# install_tool NAME OPTION...
install_tool() {
    name=$1
    shift
    link_statically
    compile "$work/$name" -L"$to_lib" -llicbak "$@" ||
        die "the tool does not build; see the messages above"
    put 755 "$work/$name" "$to_bin" "$name"
}

# In a folder of its own, since it would serve every program of the folder that it lies in.
install_wmvcore() {
    # shellcheck disable=SC2086 # lists of words
    $CXX -std=c++17 ${CXXFLAGS:--O2} $static_cflags -I"$to_include" -shared -static \
        -s -Wl,--no-insert-timestamp -o "$work/wmvcore.dll" examples-c/wmvcore.cpp examples-c/wmvcore.def \
        ${LDFLAGS:-} "$to_lib/liblicbak.a" $static_libs ||
        die "wmvcore.dll does not build; see the messages above"
    put 755 "$work/wmvcore.dll" "$to_wmvcore" wmvcore.dll
    put 644 examples-c/wmvcore.def "$to_wmvcore" wmvcore.def
}

# The pages of the functions are made from the header's comments.
install_manual() {
    put 644 man/licbak.1 "$to_share/man/man1" licbak.1
    mkdir "$work/man"
    awk -v version="$version" -v to="$work/man" -f man/functions.awk man/licbak.1 include/licbak.h ||
        die "the manual can't be made from the header"
    for page in "$work"/man/*; do
        put 644 "$page" "$to_share/man/man3" "${page##*/}"
    done
}

install_completion() {
    put 644 completion/licbak.bash "$to_share/bash-completion/completions" licbak
    put 644 completion/licbak.zsh "$to_share/zsh/site-functions" _licbak
    put 644 completion/licbak.fish "$to_share/fish/vendor_completions.d" licbak.fish
}

install_all() {
    umask 022 # for all users, whoever installs
    take_libraries
    install_library
    case $system in
    linux)
        install_tool licbak "-Wl,-rpath,$rpath"
        install_manual
        install_completion
        ;;
    windows)
        install_tool licbak.exe -s -Wl,--no-insert-timestamp
        install_wmvcore
        ;;
    esac
    keep_manifest
    printf 'licbak %s is installed in %s\n' "$version" "$destdir${prefix:-/}"
}

# ---- The loader -------------------------------------------------------------------------

# Tells whether programs find the libraries of a folder without being told.
is_searched() {
    real=$(cd "$1" && pwd -P)
    ldconfig -N -X -v 2>/dev/null | sed -n 's,^\(/[^:]*\):.*,\1,p' >"$work/searched"
    while IFS= read -r directory; do
        [ "$(cd "$directory" 2>/dev/null && pwd -P)" != "$real" ] || return 0
    done <"$work/searched"
    return 1
}

# The loader finds a library by its cache, which ldconfig makes. A package does this where it is
# installed.
tell_loader() {
    [ -z "$target$destdir" ] || return 0
    PATH=$PATH:/usr/sbin:/sbin
    if ! is_searched "$libdir"; then
        printf 'To use it from there:\n    export PATH="%s:$PATH" PKG_CONFIG_PATH="%s" \\\n        LD_LIBRARY_PATH="%s"\n' \
            "$prefix/bin" "$libdir/pkgconfig" "$libdir"
    elif [ "$(id -u)" = 0 ]; then
        ldconfig || die "ldconfig has failed, and without it programs do not find the library"
    else
        echo 'Programs find the library when root has run: ldconfig'
    fi
}

# ---- Uninstalling -----------------------------------------------------------------------

# remove PATH: as the manifest has it.
remove() {
    case $1 in
    ../* | */../*) die "$to_manifest/manifest is not as install.sh has made it: $1" ;;
    ./) rmdir "$destdir$prefix" ;;
    /*/) rmdir "$destdir$1" ;;
    */) rmdir "$destdir$prefix/$1" ;;
    /*) rm -f "$destdir$1" ;;
    *) rm -f "$destdir$prefix/$1" ;;
    esac
}

# The manifest is the last of the files, so that what could not be removed can be another time; then
# the folders, the last first, so that each is empty when its turn comes. One with files of others
# stays.
uninstall_all() {
    [ -f "$to_manifest/manifest" ] ||
        die "there is no $to_manifest/manifest: install.sh has installed nothing there"
    sed '1!G;h;$!d' "$to_manifest/manifest" >"$work/all"
    {
        sed '/\/$/d; /^share\/licbak\/manifest$/d' "$work/all"
        echo share/licbak/manifest
        sed '/\/$/!d' "$work/all"
    } >"$work/removed"
    while IFS= read -r path; do
        case $path in
        */) remove "$path" 2>/dev/null || : ;;
        *) remove "$path" || die "$path can't be removed" ;;
        esac
    done <"$work/removed"
    printf 'licbak is removed from %s\n' "$destdir${prefix:-/}"
    [ "$system" != linux ] || [ -n "$destdir" ] || [ "$(id -u)" != 0 ] || PATH=$PATH:/usr/sbin:/sbin ldconfig
}

# ---- What was asked for -----------------------------------------------------------------

parse_arguments "$@"
resolve_directories
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
if [ "$action" = uninstall ]; then
    uninstall_all
    exit
fi
set_up_system
enter_sources
# First, as it takes the most to get.
[ "$action" = install ] && is_ready || check_cargo
check_tools
case $action in
build) build_ahead ;;
install)
    install_all
    tell_loader
    ;;
esac
