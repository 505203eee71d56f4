#!/usr/bin/env bash
# Power loss on a recording block device, with disks that lie as controls, then cuts of a loop file system, on ext4 and
# xfs (tests/crash/power_cut.py, power_cut_shutdown.py). A recording that shows a violation is kept in build/check/power.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset release --log-level=WARNING >/dev/null
cmake --build --preset release --target mallbotsd mallbots power_cut_client
cmake --preset crash --log-level=WARNING >/dev/null
cmake --build --preset crash --target mallbotsd mallbots
bound=(--states 100)
rounds=1
if [ "$1" = full ]; then
  bound=(--states 1000 --full) # 2,000 of each file system, as quick has 200
  rounds=10
fi
orders=()
real=../shared/data/online_retail_2010-12_2011-03.csv.zst
[ ! -f "$real" ] || orders=(--orders "$real")
jobs=${JOBS:-$(nproc)}
python3 tests/crash/power_cut_shutdown.py build/release/bin --rounds "$rounds" --jobs "$jobs" "${orders[@]}"
exec python3 tests/crash/power_cut.py build/release/bin --lies build/crash/bin "${bound[@]}" --jobs "$jobs" \
  --keep build/check/power
