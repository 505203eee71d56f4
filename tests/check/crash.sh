#!/usr/bin/env bash
# The product with named crash points, killed and stopped at each of them (tests/crash/kill_points.py).
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset crash >/dev/null
cmake --build --preset crash --target mallbotsd mallbots
nth=1
[ "$1" = quick ] || nth=1,2,5,20
exec python3 tests/crash/kill_points.py build/crash/bin --nth "$nth"
