#!/usr/bin/env bash
# Address and undefined behaviour sanitizers over the hearts. Their tests start the programs too.
exec "$(dirname "$0")/sanitizer.sh" asan heart 'tests_heart mallbotsd mallbots' "$1"
