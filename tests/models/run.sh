#!/usr/bin/env bash
# Checks every model of this folder exhaustively with spin; every rejected variant must be caught.
#   run.sh [--full] [--jobs N] [MODEL ...]      MODEL: a file name without .pml; default all
# The runs are declared in the head of each model:
#   @good NAME FLAGS               complete and without an error; @full: the same, only with --full
#   @reject NAME PROPERTY FLAGS    must violate just that property (end_state: a deadlock)
# Exit 1 on any surprise: an error in a good model, a search that was cut short, a property that
# was never evaluated, code that no good run reached (unless its line says UNREACHED: and why), a
# rejected variant that passes or fails for another reason. Nothing is left behind.
# MODELS_MEMORY_MB and MODELS_TIMEOUT_S bound one run.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# One run: spin, gcc and pan in a folder of its own; `result` gets one line per property:
# kind|model|variant|property|states|evaluations|depth|processor seconds|verdict
run_one() {
  local kind=$1 model=$2 name=$3 want=$4 flags=$5
  mkdir -p "$work/$model-$kind-$name" && cd "$work/$model-$kind-$name" || exit 1
  cp "$here"/*.pml "$here/property.h" .
  local optimize=-O2 options=""
  if [ "$kind" = reject ]; then
    optimize=-O1
    [ "$want" = end_state ] || options=-E # look on past deadlocks for the property that is meant
  fi
  # shellcheck disable=SC2086
  spin -a $flags "$model.pml" >build.log 2>&1
  if ! gcc $optimize -w -DSAFETY -DVECTORSZ=1024 -DMEMLIM="$MODELS_MEMORY_MB" -o pan pan.c \
    >>build.log 2>&1; then
    echo "$kind|$model|$name|$want|-|0|-|0|FAILED: does not build: $(head -1 build.log)" >result
    return
  fi
  timeout "$MODELS_TIMEOUT_S" ./pan $options -w24 -m200000 >pan.log 2>&1 ||
    echo "pan: ended with $?" >>pan.log
  judge "$kind" "$model" "$name" "$want"
  rm -f pan pan.[a-z] ./*.pml property.h
}

judge() {
  local kind=$1 model=$2 name=$3 want=$4 states depth seconds got verdict=ok
  times >times.log # processor time of all children: the machine may be busy with other stages
  seconds=$(tail -1 times.log | awk '{
    gsub(/[ms]/, " "); printf "%.1f", $1 * 60 + $2 + $3 * 60 + $4 }')
  states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' pan.log)
  depth=$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' pan.log)
  got=$(sed -n 's/^pan:1: assertion violated (\([a-z0-9_]*\)||.*/\1/p
                s/^pan:1: invalid end state.*/end_state/p' pan.log)
  [ -n "$got" ] || got=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' pan.log)
  local cut='max search depth too small|out of memory|reached -DMEMLIM|ended with'
  if [ "$kind" = reject ]; then
    verdict=caught
    [ "$got" = "$want" ] || verdict="FAILED: ${got:-$(grep -m1 -E "$cut" pan.log || echo no error)}"
    echo "$kind|$model|$name|$want|${states:--}|-|${depth:--}|$seconds|$verdict" >result
    return
  fi
  if ! grep -q 'errors: 0$' pan.log; then
    verdict="FAILED: ${got:-$(tail -1 pan.log)}"
  elif grep -qE "$cut|Search not completed" pan.log; then
    verdict="FAILED: cut short: $(grep -m1 -E "$cut" pan.log)"
  fi
  {
    sed -n 's/^property \([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p' pan.log | sort
    echo "no_deadlock ${states:-0}"
  } | while read -r property checked; do
    echo "$kind|$model|$name|$property|${states:--}|$checked|${depth:--}|$seconds|$verdict"
  done >result
  # statements never reached, without their numbers, so that runs with other bounds compare
  grep -E '^[[:space:]].*\.pml:[0-9]+, state' pan.log | grep -v '"-end-"' |
    sed -E 's/^[[:space:]]*//; s/\.pml:([0-9]+), state [0-9]+, /.pml @\1@ /' |
    awk -F@ '{ t = $3; gsub(/[0-9]+/, "#", t); print $1 $2 t }' | sort -u >unreached
}

full=0 jobs=2 models=()
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=1 ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
    *)
      [ -f "$here/$1.pml" ] || { echo "run.sh: no model $1 in $here" >&2; exit 2; }
      models+=("$1")
      ;;
  esac
  shift
done
MODELS_MEMORY_MB=${MODELS_MEMORY_MB:-$((full ? 9000 : 4000))}
MODELS_TIMEOUT_S=${MODELS_TIMEOUT_S:-$((full ? 7200 : 900))}
for tool in spin gcc; do
  command -v $tool >/dev/null ||
    { echo "run.sh: $tool is missing; install the package $tool" >&2; exit 1; }
done
[ ${#models[@]} -gt 0 ] || for f in commit_roll commit_lease commit_dedup publication pin_retire \
  wait_wake wait_broker persist_heir; do models+=("$f"); done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export here work MODELS_MEMORY_MB MODELS_TIMEOUT_S
export -f run_one judge

# the runs, five lines each: kind, model, variant, property, flags
for model in "${models[@]}"; do
  sed 's/ *\*\/ *$//' "$here/$model.pml" | awk -v m="$model" -v full="$full" '
    function put(k, n, p, drop) {
      for (i = 1; i <= drop; i++) $i = ""
      sub(/^ +/, ""); print k "\n" m "\n" n "\n" p "\n" $0
    }
    /^@good/ { put("good", $2, "-", 2) }
    /^@full/ && full { put("full", $2, "-", 2) }
    /^@reject/ { put("reject", $2, $3, 3) }'
done >"$work/runs"
# shellcheck disable=SC2016
tr '\n' '\0' <"$work/runs" | xargs -0 -n 5 -P "$jobs" bash -c 'run_one "$@"' run_one

passed=0 failed=0
fail() { echo "FAILED: $*"; failed=$((failed + 1)); }
row='%-13s %-31s %-20s %9s %9s %6s %6s  %s\n'

# over all good runs of a model together: every property evaluated, every statement reached
check_reach() {
  local model=$1 p file line text lists=() list
  for p in $(cat "$work/$model"-{good,full}-*/result 2>/dev/null |
    awk -F'|' '{ n[$4] += $6 } END { for (p in n) if (!n[p]) print p }'); do
    fail "$model: property $p is never evaluated"
  done
  for list in "$work/$model"-{good,full}-*/unreached; do [ -f "$list" ] && lists+=("$list"); done
  [ ${#lists[@]} -gt 0 ] || { fail "$model: no good run"; return; }
  while read -r file line text; do
    sed -n "${line}p" "$here/$file" | grep -q 'UNREACHED:' ||
      fail "$file:$line is reached in no good run: $text"
  done < <(sort "${lists[@]}" | uniq -c |
    awk -v n=${#lists[@]} '$1 == n { $1 = ""; sub(/^ /, ""); print }')
}

for model in "${models[@]}"; do
  printf '\n%s: %s\n' "$(sed -n 's/^@group *//p' "$here/$model.pml")" \
    "$(sed -n '1s/^\/\* *//p' "$here/$model.pml")"
  # shellcheck disable=SC2059
  printf "$row" model variant property states checked depth "cpu s" verdict
  while IFS=@ read -r kind name; do
    result=$work/$model-$kind-$name/result
    [ -s "$result" ] || { fail "$model $name did not run"; continue; }
    awk -F'|' -v row="$row" '{
      v = ($1 == "reject" ? "REJECT " : "") $3
      printf row, $2, v, $4, $5, $6, $7, $8, $9 }' "$result"
    if grep -q FAILED "$result"; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
  done < <(awk -v m="$model" 'NR % 5 == 1 { k = $0 } NR % 5 == 2 { mm = $0 }
    NR % 5 == 3 && mm == m { print k "@" $0 }' "$work/runs")
  check_reach "$model"
done
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
