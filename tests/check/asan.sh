#!/usr/bin/env bash
# Address and undefined behaviour sanitizers over the hearts. Everything is built: these tests start the programs too.
exec "$(dirname "$0")/sanitizer.sh" asan heart all "$1"
