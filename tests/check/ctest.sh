#!/usr/bin/env bash
# Usage: tests/check/ctest.sh PRESET [ctest arguments]
# Runs the tests of build/PRESET; prints why tests were skipped; with REQUIRE_ALL=1 a skipped test fails.
# No test found is a failure unless NONE_IS_FINE is set. The last line is ctest's own closing line, and the tests that failed.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=$1
shift
build=build/$preset
out=$build/Testing/last_output.txt
mkdir -p "$build/Testing"
# TSan and ASan stop at the first finding with a status that no test uses by itself.
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99:second_deadlock_stack=1}
none=error
[ -z "${NONE_IS_FINE:-}" ] || none=ignore

rc=0
# One more than there are processors: tests wait more than they compute.
ctest --test-dir "$build" --output-on-failure --no-tests="$none" -j $((${JOBS:-$(nproc)} + 1)) "$@" </dev/null 2>&1 |
  tee "$out" || rc=$?

closing=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$out" | tail -n 1 || true)
skipped=$(grep -cE '\*\*\*(Skipped|Not Run)' "$out" || true)
if [ "$skipped" -gt 0 ]; then
  echo
  echo "Skipped, and why:"
  # GoogleTest prints "file:line: Skipped" and the reason behind it.
  awk '/^[0-9]+\/[0-9]+ Test: /{name=$3} /: Skipped$/{getline why; print "  " name ": " why}' \
    "$build/Testing/Temporary/LastTest.log" | sort -u
  if [ -n "${REQUIRE_ALL:-}" ]; then
    echo "REQUIRE_ALL is set: $skipped skipped tests count as failed"
    [ "$rc" -ne 0 ] || rc=1
  fi
fi
failed=$(grep -vE '\*\*\*(Skipped|Not Run \(Disabled\))' "$out" |
  sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*.*$/\1/p' | paste -sd' ')
[ -z "$closing" ] || { echo; echo "$closing${failed:+: $failed}"; }
exit "$rc"
