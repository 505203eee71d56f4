#!/usr/bin/env bash
# The product with named crash points, killed and stopped at each of them (tests/crash/kill_points.py), as this user and
# again as one without name and rights: a part of the runs in quick, all in full.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset crash >/dev/null
cmake --build --preset crash --target mallbotsd mallbots crash_client
python3 tests/crash/namespaces.py build/crash/bin --rounds 20
python3 tests/crash/overdue_drain.py build/crash/bin
nobody=54321 # a number that no account has
points() { python3 tests/crash/kill_points.py build/crash/bin --jobs "${JOBS:-$(nproc)}" "$@"; }
if [ "$1" = quick ]; then
  runs=(--nth 1)
  slice=(--every 5)
else
  runs=(--nth 1,2,5,20 --all-scenes)
  slice=()
fi
if [ "$(id -u)" = 0 ]; then
  points "${runs[@]}" --user "$nobody" "${slice[@]}"
else
  echo "not root: everything runs as user $(id -u), who has no rights either"
fi
points "${runs[@]}"
