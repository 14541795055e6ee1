#!/bin/sh
# Runs a compiler for cargo. What it makes has the names of crates, not of their folders.
[ -z "${CARGO_MANIFEST_DIR:-}" ] ||
    set -- "$@" --remap-path-prefix "$CARGO_MANIFEST_DIR=/$CARGO_PKG_NAME-$CARGO_PKG_VERSION"
[ -z "${OUT_DIR:-}" ] || set -- "$@" --remap-path-prefix "$OUT_DIR=/out"
exec "$@"
