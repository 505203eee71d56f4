#!/usr/bin/env bash
# Deliberate protocol bugs, each of which a named test must catch (tests/crash/mutants.py).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/crash/mutants.py
