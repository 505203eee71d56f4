#!/usr/bin/env bash
# Checks every model of this folder exhaustively with spin, and that every rejected variant is caught.
#   run.sh [--full] [--jobs N] [MODEL ...]      MODEL is a file name without .pml; default all
# The runs are declared in the head of each model:
#   @good NAME FLAGS      must show no error, complete; @full the same, only with --full (larger bounds)
#   @reject NAME PROPERTY FLAGS      must violate just that property (end_state: a deadlock)
# Exit 1 on any surprise: an error in a good model, a search that was cut short, a property that was never evaluated, code that no good run
# reached (unless its line says UNREACHED: and why), a rejected variant that passes or fails for another reason. Nothing is left behind.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# One run: spin, gcc, pan in a folder of its own; one result line per property.
run_one() {
  local kind=$1 model=$2 name=$3 want=$4 flags=$5 out=$6/$2-$1-$3
  local options="" optimize=-O2 errors states depth seconds verdict="" got
  mkdir -p "$out" && cp "$here"/*.pml "$here/property.h" "$out" && cd "$out" || exit 1
  [ "$kind" = reject ] && optimize=-O1
  # shellcheck disable=SC2086
  spin -a $flags "$model.pml" >spin.log 2>&1
  if ! gcc $optimize -w -DSAFETY -DVECTORSZ=1024 -DMEMLIM="$MODELS_MEMORY_MB" -o pan pan.c >>spin.log 2>&1; then
    echo "$kind|$model|$name|$want|-|-|-|0|FAILED: does not compile: $(head -1 spin.log)" >result
    rm -f pan pan.[a-z] && return
  fi
  [ "$kind" = reject ] && [ "$want" != end_state ] && options=-E
  timeout "$MODELS_TIMEOUT_S" ./pan $options -w24 -m200000 >pan.log 2>&1 || echo "pan: ended with $?" >>pan.log
  # processor time of spin, gcc and pan: the machine may be busy with other stages
  seconds=$(times | tail -1 | awk '{ gsub(/[ms]/, " "); printf "%.1f", $1 * 60 + $2 + $3 * 60 + $4 }')
  errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
  states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' pan.log)
  depth=$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' pan.log)
  got=$(sed -n 's/^pan:1: assertion violated (\([a-z0-9_]*\)||.*/\1/p; s/^pan:1: invalid end state.*/end_state/p' pan.log)
  [ -z "$got" ] && got=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' pan.log)
  if [ "$kind" = reject ]; then
    if [ "$got" = "$want" ]; then verdict=caught
    elif [ -n "$got" ]; then verdict="FAILED: violates $got"
    else verdict="FAILED: not caught: $(grep -m1 -E 'MEMLIM|too small|ended with' pan.log || echo 'no error')"; fi
    echo "$kind|$model|$name|$want|${states:--}|-|${depth:--}|$seconds|$verdict" >result
  else
    verdict=ok
    if [ "${errors:-x}" != 0 ]; then verdict="FAILED: ${got:-$(tail -1 pan.log)}"
    elif grep -qE 'max search depth too small|out of memory|reached -DMEMLIM|Search not completed|ended with' pan.log; then
      verdict="FAILED: search cut short: $(grep -m1 -oE 'max search depth too small|out of memory|MEMLIM bound|ended with.*' pan.log)"
    fi
    sed -n 's/^property \([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p' pan.log | sort | while read -r property checks; do
      echo "$kind|$model|$name|$property|${states:--}|$checks|${depth:--}|$seconds|$verdict"
    done >result
    echo "$kind|$model|$name|no_deadlock|${states:--}|${states:--}|${depth:--}|$seconds|$verdict" >>result
    # unreached statements, numbers left out so that runs with other bounds compare
    grep -E '^[[:space:]].*\.pml:[0-9]+, state' pan.log | grep -v '"-end-"' |
      sed -E 's/^[[:space:]]*//; s/\.pml:([0-9]+), state [0-9]+, /.pml @\1@ /' | awk -F@ '{t=$3; gsub(/[0-9]+/, "#", t); print $1 $2 t}' | sort -u >unreached
  fi
  rm -f pan pan.[a-z] ./*.pml property.h
}
export here MODELS_MEMORY_MB=${MODELS_MEMORY_MB:-4000} MODELS_TIMEOUT_S=${MODELS_TIMEOUT_S:-600}
export -f run_one

full=0 jobs=2 models=()
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=1; MODELS_TIMEOUT_S=7200 MODELS_MEMORY_MB=9000 ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
    *) [ -f "$here/$1.pml" ] || { echo "run.sh: no model $1 in $here" >&2; exit 2; }; models+=("$1") ;;
  esac
  shift
done
for tool in spin gcc; do
  command -v $tool >/dev/null || { echo "run.sh: $tool is missing; install the package $tool" >&2; exit 1; }
done
[ ${#models[@]} -gt 0 ] || for f in "$here"/*.pml; do models+=("$(basename "$f" .pml)"); done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

for model in "${models[@]}"; do
  sed 's/ *\*\/ *$//' "$here/$model.pml" | awk -v m="$model" -v full="$full" '
    /^@good/ || (/^@full/ && full) { k = substr($1, 2); n = $2; $1 = $2 = ""; print k; print m; print n; print "-"; sub(/^ +/, ""); print $0 }
    /^@reject/ { n = $2; p = $3; $1 = $2 = $3 = ""; print "reject"; print m; print n; print p; sub(/^ +/, ""); print $0 }'
done >"$work/jobs"
# shellcheck disable=SC2016
tr '\n' '\0' <"$work/jobs" | xargs -0 -n 5 -P "$jobs" bash -c 'run_one "$1" "$2" "$3" "$4" "$5" "$0"' "$work"

passed=0 failed=0
fail() { echo "  FAILED: $*"; failed=$((failed + 1)); }
row='%-13s %-31s %-20s %9s %9s %6s %6s  %s\n'
for model in "${models[@]}"; do
  printf '\n%s: %s\n' "$(sed -n 's/^@group *//p' "$here/$model.pml")" "$(sed -n '1s/^\/\* *//p' "$here/$model.pml")"
  # shellcheck disable=SC2059
  printf "$row" model variant property states checked depth "cpu s" verdict
  while IFS=@ read -r kind name; do
    result=$work/$model-$kind-$name/result
    if [ ! -s "$result" ]; then fail "$model $name did not run"; continue; fi
    # shellcheck disable=SC2059
    awk -F'|' -v row="$row" '{ v = ($1 == "reject" ? "REJECT " : "") $3; printf row, $2, v, $4, $5, $6, $7, $8, $9 }' "$result"
    if grep -q FAILED "$result"; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
  done < <(awk -v m="$model" 'NR % 5 == 1 { k = $0 } NR % 5 == 2 { mm = $0 } NR % 5 == 3 && mm == m { print k "@" $0 }' "$work/jobs")
  # over all good runs together: every property was evaluated, every statement reached
  for p in $(cat "$work/$model"-{good,full}-*/result 2>/dev/null | awk -F'|' '{ n[$4] += $6 } END { for (p in n) if (!n[p]) print p }'); do
    fail "$model: property $p is never evaluated"
  done
  good=("$work/$model"-good-* "$work/$model"-full-*)
  files=(); for d in "${good[@]}"; do [ -f "$d/unreached" ] && files+=("$d/unreached"); done
  if [ ${#files[@]} -gt 0 ]; then
    while read -r file line text; do
      sed -n "${line}p" "$here/$file" | grep -q 'UNREACHED:' || fail "$file:$line is reached in no good run: $text"
    done < <(cat "${files[@]}" | sort | uniq -c | awk -v n=${#files[@]} '$1 == n { $1 = ""; sub(/^ /, ""); print }')
  fi
done
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
