#!/usr/bin/env bash
# Usage: tests/check/run.sh quick|full [STAGE...]
# What `make check` (quick) and `make check-full` (full) run after `make test`. One stage = one script beside this one,
# called with the bound as its argument: exit 0 passed, 77 skipped (last line: `skipped: why`), else failed.
# All stages run even when one fails. REQUIRE_ALL=1: a skipped stage fails. Rows for .ci/run: build/check/stages.tsv.
set -uo pipefail
cd "$(dirname "$0")/../.."

bound=${1:-quick}
case $bound in quick | full) ;; *) echo "usage: $0 quick|full [STAGE...]" >&2; exit 2 ;; esac
shift || true
stages=(format models long crash power asan tsan clang_tidy fuzz)
[ "$bound" = quick ] || stages+=(mutants browser)
[ $# -eq 0 ] || stages=("$@")

mkdir -p build/check
table=build/check/stages.tsv
: >"$table"
failed=0
for stage in "${stages[@]}"; do
  script=tests/check/$stage.sh
  [ -x "$script" ] || { echo "check: no stage '$stage' ($script)" >&2; exit 2; }
  log=build/check/$stage.log
  printf '\n=== check: %s (%s)\n' "$stage" "$bound"
  begin=$SECONDS
  "$script" "$bound" </dev/null 2>&1 | tee "$log"
  rc=${PIPESTATUS[0]}
  note=$(grep -vE '^\s*$' "$log" | tail -n 1 | cut -c1-240)
  [ "$rc" -ne 77 ] || [[ $note == skipped:* ]] || rc=1 # some tools use 77 for a finding
  case $rc in
    0) verdict=passed ;;
    77) verdict=skipped
      if [ -n "${REQUIRE_ALL:-}" ]; then verdict=failed; failed=1; fi ;;
    *) verdict=failed; failed=1 ;;
  esac
  printf '%s\t%s\t%s\t%s\n' "check: $stage" "$verdict" "$((SECONDS - begin))" "$note" >>"$table"
done

echo
awk -F'\t' '{printf "%-20s %-8s %5d s  %s\n", $1, $2, $3, $4}' "$table"
exit "$failed"
