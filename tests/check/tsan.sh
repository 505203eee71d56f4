#!/usr/bin/env bash
# Thread sanitizer over the tests that hold all roles as threads of one process, over one mapping.
exec "$(dirname "$0")/sanitizer.sh" tsan tsan tests_tsan "$1"
