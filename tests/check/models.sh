#!/usr/bin/env bash
# The protocol's models (tests/models/run.sh), small bounds or large ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x tests/models/run.sh ] || { echo "skipped: no tests/models/run.sh yet"; exit 77; }
if [ "$1" = full ]; then exec tests/models/run.sh --full; fi
exec tests/models/run.sh
