#!/usr/bin/env bash
# Release tests too long for `make test` (label check); full: also those of `make test` that take a larger bound (label scales).
# The tests read MALLBOTS_CHECK=quick|full for how many states, rounds or seconds they take.
set -euo pipefail
cd "$(dirname "$0")/../.."
labels='^check$'
[ "$1" = quick ] || labels='^(check|scales)$'
count=$(ctest --test-dir build/release -N -L "$labels" | sed -n 's/^Total Tests: //p')
[ "${count:-0}" -gt 0 ] || { echo "skipped: no test carries the label ${labels} yet"; exit 77; }
MALLBOTS_CHECK=$1 exec tests/check/ctest.sh release -L "$labels"
