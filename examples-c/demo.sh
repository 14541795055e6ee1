#!/bin/sh
# The main job, on the licences that come with the project: back them up, restore them, compare.
# It first installs licbak below the target directory. It needs no other set-up, writes nowhere
# else, and fails if anything disagrees.
#
#     examples-c/demo.sh
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
work=$target/demo
store=examples-c/licenses

die() {
    printf '\ndemo.sh: %s\n' "$*" >&2
    exit 1
}

say() {
    printf '\n# %s\n' "$*"
}

# Prints a command as a user would type it.
show() {
    printf '$ %s\n' "$*"
}

run() {
    show "$@"
    "$@" || die "this should have worked"
}

# The second backup into the same directory must be refused, and for the right reason.
refused() {
    show "$@"
    if "$@" 2>"$work/refusal"; then
        die "this should have been refused"
    fi
    cat "$work/refusal"
    grep -q NS_E_DRM_BACKUP_EXISTS "$work/refusal" || die "refused, but for another reason"
}

# Licences whose issuers deny backup are not in a restored folder.
dry_run() {
    show "$@"
    "$@" 2>"$work/events" || die "this should have worked"
    cat "$work/events"
    sed -n 's/^left out: \([^:]*\): .*/\1/p' "$work/events" >"$work/left_out"
}

compare() {
    set --
    while IFS= read -r name; do
        set -- "$@" -x "${name##*/}"
    done <"$work/left_out"
    run diff -r "$@" "$store" "$work/restored"
}

unpack_without_licbak() {
    if ! command -v zstd >/dev/null; then
        echo "(skipped: zstd is not installed, and tar needs it)"
        return
    fi
    mkdir "$work/unpacked"
    run tar --zstd -xf "$work/backup/licenses.tar.zst" -C "$work/unpacked"
    show cd "$work/unpacked"
    (cd "$work/unpacked" && run sha256sum -c --quiet SHA256SUMS)
}

say "Build licbak and install it in $target/stage"
run ./install.sh --prefix "$target/stage"
PATH=$(cd "$target/stage/bin" && pwd):$PATH
rm -rf "$work"
mkdir -p "$work/backup"

say "What a backup would hold, and what it would leave out"
dry_run licbak backup --dry-run "$store" "$work/backup"

say "Back up"
run licbak backup "$store" "$work/backup"

say "A backup is not replaced by accident"
refused licbak backup "$store" "$work/backup"

say "But when told to, and read back at once"
run licbak backup --overwrite --verify "$store" "$work/backup"

say "Check it again later, and see what is in it"
run licbak verify "$work/backup"
show "licbak list $work/backup | head -n 8"
licbak list "$work/backup" | head -n 8

say "Bring back one licence that was lost, by its key ID"
run licbak restore --key-id cadworks "$work/backup" "$work/one"
run diff "$work/one/seats/engineering/cadworks.lic" "$store/seats/engineering/cadworks.lic"

say "Restore into an empty directory: the same licences, byte for byte"
mkdir "$work/restored"
run licbak restore "$work/backup" "$work/restored"
compare

say "Without licbak: tar and sha256sum open the backup too"
unpack_without_licbak

say "Everything agrees."
