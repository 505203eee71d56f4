#!/bin/sh
# What `make bench` runs: the table of this machine. ROW=name for one row; arguments go through.
set -eu
bin=$(dirname "$0")/../build/release/bin/mallbots_bench
if [ ! -x "$bin" ]; then
  echo "bench/run.sh: $bin is not built; 'make build' builds it" >&2
  exit 1
fi
exec "$bin" "$@"
