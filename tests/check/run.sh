#!/usr/bin/env bash
# Usage: tests/check/run.sh quick|full [STAGE...]
# What `make check` (quick) and `make check-full` (full) run after `make test`. One stage = one script beside this one,
# called with the bound as its argument: exit 0 passed, 77 skipped (last line: `skipped: why`), else failed.
# All stages run even when one fails. quick: those that only compute run beside the others, on the processor time that these
# leave, and are printed at the end (full: models take too much memory for that). REQUIRE_ALL=1: a skipped stage fails.
# Rows for .ci/run: build/check/stages.tsv.
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

run() { # STAGE: its output to its log, a row to the table
  local stage=$1 log=build/check/$1.log begin=$SECONDS rc=0 verdict note
  "tests/check/$stage.sh" "$bound" </dev/null 2>&1 | tee "$log"
  rc=${PIPESTATUS[0]}
  note=$(grep -vE '^\s*$' "$log" | tail -n 1 | cut -c1-240)
  [ "$rc" -ne 77 ] || [[ $note == skipped:* ]] || rc=1 # some tools use 77 for a finding
  case $rc in
    0) verdict=passed ;;
    77) verdict=${REQUIRE_ALL:+failed} verdict=${verdict:-skipped} ;;
    *) verdict=failed ;;
  esac
  printf '%s\t%s\t%s\t%s\n' "check: $stage" "$verdict" "$((SECONDS - begin))" "$note" >>"$table"
}
title() { printf '\n=== check: %s (%s)\n' "$1" "$bound"; }

beside=() others=()
for stage in "${stages[@]}"; do
  [ -x "tests/check/$stage.sh" ] || { echo "check: no stage '$stage' (tests/check/$stage.sh)" >&2; exit 2; }
  case $bound/$stage in
    quick/models | quick/clang_tidy) beside+=("$stage") ;;
    *) others+=("$stage") ;;
  esac
done

[ ${#others[@]} -gt 0 ] || { others=("${beside[@]}") && beside=(); }

set -m # a process group of its own, which goes when this script does
(
  chrt --idle --pid 0 $BASHPID 2>/dev/null || renice -n 19 -p $BASHPID >/dev/null
  for stage in "${beside[@]}"; do run "$stage" >/dev/null; done
) &
set +m
trap 'kill -- -$! 2>/dev/null' EXIT
for stage in "${others[@]}"; do
  title "$stage"
  run "$stage"
done
[ ${#beside[@]} -eq 0 ] || printf '\n=== check: %s: begun at the beginning, to be waited for\n' "${beside[*]}"
wait
for stage in "${beside[@]}"; do
  title "$stage"
  cat "build/check/$stage.log"
done

echo
awk -F'\t' '{printf "%-20s %-8s %5d s  %s\n", $1, $2, $3, $4}' "$table"
[ "$(wc -l <"$table")" -eq ${#stages[@]} ] || { echo "check: a stage ended without a word" >&2; exit 1; }
! grep -q $'\tfailed\t' "$table"
