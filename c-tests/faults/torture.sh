#!/bin/sh
# The long forms of the suites whose short forms are part of `cargo test`: every fault, kill and
# state where those take a sample; a second build, which must be the same; the sanitizers; and
# planted bugs, which the suites must catch (planted.sh). Takes an hour or two; prints what each has
# counted. With names, only those.
set -eu
cd "$(dirname "$0")/../.."
export LICBAK_TORTURE=1
[ $# -gt 0 ] || set -- moves faults kills powercut full cut_disk memory hostile composed \
    object_faults object_races \
    inside::build_elsewhere_is_the_same sanitizers planted
for suite in "$@"; do
    case $suite in
    planted | sanitizers) "c-tests/faults/$suite.sh" ;;
    *) cargo test --locked --release --test c -- --exact "$suite" ;;
    esac
done
