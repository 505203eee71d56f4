#!/usr/bin/env bash
# Usage: tests/check/sanitizer.sh PRESET LABEL "TARGET..." quick|full: build the TARGETs of PRESET, run the tests with LABEL.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=$1 label=$2 bound=$4
read -ra wanted <<<"$3"
cmake --preset "$preset" --log-level=WARNING >/dev/null
targets=$(cmake --build "build/$preset" --target help) # whole: a closed pipe would look like "no such target"
if ! grep -qE "^(tests_$label): " <<<"$targets"; then
  echo "skipped: no test carries the label $label yet"
  exit 77
fi
cmake --build "build/$preset" -j "${JOBS:-$(nproc)}" --target "${wanted[@]}"
without=(-LE '^check$')
[ "$bound" = quick ] || without=()
MALLBOTS_CHECK=$bound exec tests/check/ctest.sh "$preset" -L "^$label\$" "${without[@]}"
