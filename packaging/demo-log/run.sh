#!/usr/bin/env bash
# Usage: packaging/demo-log/run.sh      what `make demo-log` runs once the programs are built; README.md beside it tells what it shows
#   ORDERS=FILE     orders to produce: CSV, also .zst or .gz (default: the shared retail file if it is there, else invented ones)
#   SABOTAGE=KIND   drop, double or reorder: tampers with what a member received before the audit, which must then fail
#   SECONDS_TO_PRODUCE=N   how long producing takes (default 12): the kills come in the middle of it
#   KEEP=1          keeps the evidence in any case; else only after a failure that was not asked for
#   DEMO_DIR=DIR    where the data and the evidence go, in a folder of their own (default: build)
#   BIN=DIR         where mallbotsd and mallbots are (default build/release/bin)
set -euo pipefail
orders_given=${ORDERS:+$(realpath -e -- "$ORDERS")} || { echo "demo: ORDERS=$ORDERS: no such file" >&2; exit 2; }
cd "$(dirname "$0")/../.."
demo=packaging/demo-log
bin=${BIN:-build/release/bin}
produce_s=${SECONDS_TO_PRODUCE:-12}
partitions=8
members=(member-1 member-2 member-3)
victim=member-2

fail() { echo "demo: $*" >&2; exit 1; }

# --- What must be given back, however this ends --------------------------------------------------------------------------
work="" runtime="" verdict=none # expected, interrupted: the evidence is of no more use
# shellcheck source=packaging/demo_common.sh
. packaging/demo_common.sh
clean_up() {
  trap - EXIT INT TERM HUP
  set +e
  local name broker=""
  is_running daemon && broker=$(children_of "${pid[daemon]}")
  for name in "${!pid[@]}"; do
    is_running "$name" && kill -CONT "${pid[$name]}" && kill -TERM "${pid[$name]}"
  done 2>/dev/null
  for name in "${!pid[@]}"; do
    is_running "$name" && ! gone_within 5 "${pid[$name]}" && kill -KILL "${pid[$name]}"
  done 2>/dev/null
  [ -z "$broker" ] || gone_within 5 "$broker" || kill -KILL "$broker" 2>/dev/null || true
  [ -z "$runtime" ] || rm -rf "$runtime"
  [ -z "$work" ] || rm -rf "$work/data" "$work"/*.pipe
  if [ -n "$work" ] && [ "$verdict" != none ] && [ -z "${KEEP:-}" ]; then
    rm -rf "$work"
  elif [ -n "$work" ]; then
    echo "The evidence is in $work"
  fi
}
trap clean_up EXIT
trap 'verdict=interrupted; exit 130' INT TERM HUP

# A child of the demo ends with it, even if the demo is killed with SIGKILL.
with_us=(setpriv --pdeathsig TERM)

# --- The parts -----------------------------------------------------------------------------------------------------------
prepare_orders() {
  read_orders "$orders_given" "$work/orders.csv"
  total=$(python3 -B $demo/orders.py feed "$work/orders.csv" 0 | wc -l)
  [ "$total" -ge 100 ] || fail "$orders_from has $total orders; at least 100 are needed to kill something in the middle"
  say "$total lines of orders: $orders_from"
}

start_daemon() {
  "${with_us[@]}" "$bin/mallbotsd" --runtime-dir "$runtime" --data-dir "$work/data" 2>"$work/daemon.log" &
  pid[daemon]=$!
  local tries
  for ((tries = 100; tries > 0; --tries)); do
    mallbots status >"$work/status.txt" 2>&1 && return
    is_running daemon || break
    sleep 0.1
  done
  fail "the daemon does not answer: $(tail -n 3 "$work/daemon.log") $(cat "$work/status.txt")"
}

start_member() { # NAME: its records go through a pipe to a witness, which stamps them
  mkfifo "$work/$1.pipe"
  touch "$work/$1.txt"
  "${with_us[@]}" python3 -B $demo/witness.py receive "$work/$1.txt" <"$work/$1.pipe" &
  pid[$1-witness]=$!
  "${with_us[@]}" "$bin/mallbots" --runtime-dir "$runtime" consume retail -g demo -J >"$work/$1.pipe" 2>"$work/$1.log" &
  pid[$1]=$!
}

members_with_partitions() { mallbots group describe demo 2>/dev/null | awk -F '  +' 'NR > 1 && $8 != "-" { seen[$8] } END { print length(seen) }'; }
lag() { mallbots group describe demo | awk -F '  +' 'NR > 1 { lag += $5 } END { print lag + 0 }'; }
acknowledged() { wc -l <"$work/report.txt"; }
received() { cat "$work"/member-*.txt | wc -l; }

show_progress() {
  local line
  printf -v line '%6.1f s  %s of %s acknowledged, %s received' "$(elapsed)" "$(acknowledged)" "$total" "$(received)"
  if [ -t 1 ]; then
    printf '\r\e[K%s' "$line"
  elif (($(now_ms) - shown_ms > 2000)); then
    shown_ms=$(now_ms)
    echo "$line"
  fi
}
shown_ms=$began_ms

# Waits until CONDITION (a shell expression) holds; not for ever.
wait_until() { # LIMIT_S CONDITION
  local until_ms=$(($(now_ms) + $1 * 1000))
  until eval "$2"; do
    (($(now_ms) < until_ms)) || return 1
    is_running daemon || fail "the daemon has ended: $(tail -n 3 "$work/daemon.log")"
    show_progress
    sleep 0.05
  done
}

start_producer() {
  mkfifo "$work/orders.pipe"
  "${with_us[@]}" python3 -B $demo/orders.py feed "$work/orders.csv" "$produce_s" >"$work/orders.pipe" &
  pid[feeder]=$!
  "${with_us[@]}" "$bin/mallbots" --runtime-dir "$runtime" produce retail -K, --acks durable --report "$work/report.txt" \
    <"$work/orders.pipe" 2>"$work/produce.log" &
  pid[producer]=$!
}

kill_member() { # stopped first, so that what it has committed is known exactly
  local commits
  disown "${pid[$victim]}" # else the shell tells of its death too
  kill -STOP "${pid[$victim]}"
  commits=$(mallbots group describe demo |
    awk -F '  +' -v pid="${pid[$victim]}" 'NR > 1 && $8 == pid { printf "%s%s:%d", comma, $2, $3; comma = "," }')
  [ -n "$commits" ] || fail "$victim has no partition to lose"
  python3 -B $demo/witness.py kill "$victim" "${pid[$victim]}" "$work/kills.txt" "$commits"
  gone_within 5 "${pid[$victim]}" || fail "$victim outlives SIGKILL"
  unset "pid[$victim]"
  say "$victim killed with SIGKILL; it had committed (partition:offset) $commits"
}

kill_broker() {
  local broker
  broker=$(children_of "${pid[daemon]}")
  [ -n "$broker" ] || fail "the keeper has no broker to kill"
  python3 -B $demo/witness.py kill broker "${broker// /}" "$work/kills.txt"
  say "the broker killed with SIGKILL (pid ${broker// /}); its keeper starts another"
}

end_members() {
  local name
  for name in "${members[@]}"; do
    [ "$name" != "$victim" ] || continue
    kill -TERM "${pid[$name]}"
    wait "${pid[$name]}" || fail "$name ended with exit code $?: $(tail -n 3 "$work/$name.log")"
    unset "pid[$name]"
  done
  for name in "${members[@]}"; do
    wait "${pid[$name-witness]}" || fail "the witness of $name ended with exit code $?"
    unset "pid[$name-witness]"
  done
}

end_daemon() {
  kill -TERM "${pid[daemon]}"
  wait "${pid[daemon]}" || fail "the daemon ended with exit code $?: $(tail -n 3 "$work/daemon.log")"
  unset "pid[daemon]"
}

# --- The play ------------------------------------------------------------------------------------------------------------
case ${SABOTAGE:-} in "" | drop | double | reorder) ;; *) echo "demo: SABOTAGE=$SABOTAGE: drop, double or reorder" >&2; exit 2 ;; esac
for program in mallbotsd mallbots; do
  [ -x "$bin/$program" ] || fail "$bin/$program is not there; run: make demo-log"
done
mkdir -p "${DEMO_DIR:-build}"
work=$(mktemp -d "$(realpath -e -- "${DEMO_DIR:-build}")/demo-run.XXXXXX")
runtime=$(mktemp -d /tmp/mallbots-demo.XXXXXX) # short: a socket path ends at 107 bytes

touch "$work/report.txt" "$work/kills.txt"

prepare_orders
start_daemon
mallbots topic create retail -p $partitions >"$work/topic.txt"
for name in "${members[@]}"; do start_member "$name"; done
wait_until 20 '[ "$(members_with_partitions)" = ${#members[@]} ]' || fail "the group is not complete: $(cat "$work"/member-*.log)"
say "the broker runs, $partitions partitions, ${#members[@]} members in the group; producing takes $produce_s s"

start_producer
wait_until $((produce_s + 60)) '(($(acknowledged) * 2 >= total)) || ! is_running producer' || fail "half of the orders are not acknowledged in time"
kill_member
wait_until $((produce_s + 60)) '(($(acknowledged) * 4 >= total * 3)) || ! is_running producer' || fail "producing does not go on after the kill"
kill_broker
wait_until $((produce_s + 60)) '! is_running producer' || fail "producing does not end after the broker was killed"
wait "${pid[producer]}" || fail "produce ended with exit code $?: $(tail -n 3 "$work/produce.log")"
wait "${pid[feeder]}" || fail "the orders could not all be fed"
unset "pid[producer]" "pid[feeder]"
say "produced: $(tail -n 1 "$work/produce.log")"
wait_until 30 '[ "$(lag)" = 0 ]' || say "the members have not read everything in 30 s; the auditor will tell"
end_members
mallbots consume retail -o start -e -J >"$work/topic.jsonl" || fail "the topic cannot be read"
end_daemon
if [ -n "${SABOTAGE:-}" ]; then
  say "sabotage: looking for a record to $SABOTAGE"
  say "sabotage: $(python3 -B $demo/sabotage.py "$SABOTAGE" "$work"/member-*.txt | paste -sd';')"
fi
say "all has ended; the auditor reads"
audit=(python3 -B "$demo/auditor" --orders "$work/orders.csv" --topic "$work/topic.jsonl" --kills "$work/kills.txt")
for name in "${members[@]}"; do audit+=("$name=$work/$name.txt"); done
"${audit[@]}" | tee "$work/verdict.txt" && verdict=expected
if [ -n "${SABOTAGE:-}" ]; then
  [ "$verdict" != expected ] || fail "the auditor has not seen the sabotage"
  verdict=expected
  fail "the auditor has caught the sabotage, as it must"
fi
[ "$verdict" = expected ] || exit 1
