#!/bin/sh
# The long forms of the suites whose short forms are part of `cargo test`: every fault, kill and state where
# those take a sample. Takes an hour or so; prints what each suite has counted. With names, only those suites.
set -eu
cd "$(dirname "$0")/.."
export LICBAK_TORTURE=1
[ $# -gt 0 ] || set -- faults kills powercut full memory hostile
for suite in "$@"; do
    cargo test --locked --release --test c -- --exact "$suite"
done
