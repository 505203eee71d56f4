#!/usr/bin/env bash
# Each libFuzzer target for 10 s (quick) or 10 minutes (full). Seeds: tests/fuzz/corpus/TARGET; a crash is kept in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f tests/fuzz/CMakeLists.txt ] || { echo "skipped: no tests/fuzz yet"; exit 77; }
seconds=10
[ "$1" = quick ] || seconds=600
rm -f build/fuzz/fuzz_targets.txt
cmake --preset fuzz --log-level=WARNING >/dev/null
[ -s build/fuzz/fuzz_targets.txt ] || { echo "skipped: tests/fuzz names no target yet"; exit 77; }
cmake --build --preset fuzz -j "${JOBS:-$(nproc)}"
count=0
while read -r target; do
  work=build/fuzz/corpus/$target
  mkdir -p "$work"
  seeds=()
  [ ! -d "tests/fuzz/corpus/$target" ] || seeds=("tests/fuzz/corpus/$target")
  echo "--- $target"
  "build/fuzz/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crash-$target-" "$work" "${seeds[@]}" </dev/null 2>&1 | tee "build/fuzz/$target.log" | tail -n 25 || {
    grep -m 1 -A 40 -E 'ERROR:|runtime error:' "build/fuzz/$target.log" || true
    echo "fuzz: $target found something; its input is build/fuzz/crash-$target-*" # libFuzzer itself ends with 77
    exit 1
  }
  count=$((count + 1))
done <build/fuzz/fuzz_targets.txt
echo "$count targets, $seconds s each, no finding"
