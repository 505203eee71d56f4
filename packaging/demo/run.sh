#!/usr/bin/env bash
# Usage: packaging/demo/run.sh      what `make demo` runs once the programs are built; README.md beside it tells what it shows
#   ORDERS=FILE     invoices: CSV, also .zst or .gz (default: the shared retail file if it is there, else invented ones)
#   LIMIT=N         only the first N invoices (default 1000; all: every one)
#   MODE=MODE       together (default): all services in one process; separate: each in its own
#   KILLS=1         kill -9 of the broker, its keeper, every process of the mall and the staff once, at random, while orders come in
#   SABOTAGE=KIND   drop, double, reorder, penny or answer: tampers with the evidence before the audit, which must then fail
#   ROBOTS=N        how many (default 60)       KIOSKS=N   customers at once (default 8)       SEED=N   of everything simulated
#   SPEED=X         of the robots, times life (default 100)
#   KEEP=1          keeps the evidence in any case; else only after a failure that was not asked for
#   DEMO_DIR=DIR    where data and evidence go, in a folder of their own (default: build)
#   BIN=DIR         where the programs are (default build/release/bin)
set -euo pipefail
orders_given=${ORDERS:+$(realpath -e -- "$ORDERS")} || { echo "demo: ORDERS=$ORDERS: no such file" >&2; exit 2; }
cd "$(dirname "$0")/../.."
demo=packaging/demo
bin=${BIN:-build/release/bin} mode=${MODE:-together} robots=${ROBOTS:-60} limit=${LIMIT:-1000} seed=${SEED:-1}
case $limit in all) limit=1000000000 ;; *[!0-9]*) echo "demo: LIMIT=$limit: a number or all" >&2; exit 2 ;; esac
case $mode in together | separate) ;; *) echo "demo: MODE=$mode: together or separate" >&2; exit 2 ;; esac
case ${SABOTAGE:-} in "" | drop | double | reorder | penny | answer) ;; *)
  echo "demo: SABOTAGE=$SABOTAGE: drop, double, reorder, penny or answer" >&2; exit 2 ;; esac

fail() { echo "demo: $*" >&2; exit 1; }

# --- What must be given back, however this ends --------------------------------------------------------------------------
work="" runtime="" verdict=none # expected, interrupted: the evidence is of no more use
with_us=(setsid setpriv --pdeathsig TERM) # Ctrl-C reaches this script alone, which ends its parts in order
# shellcheck source=packaging/demo/parts.sh
. $demo/parts.sh
clean_up() {
  trap - EXIT INT TERM HUP
  set +e
  local part child left=()
  ! is_running mall || read -r -a left <<<"$(process_of broker) $(children_of "${pid[mall]}")"
  for part in "${!pid[@]}"; do is_running "$part" && kill -TERM "${pid[$part]}"; done 2>/dev/null
  for part in "${!pid[@]}"; do is_running "$part" && ! gone_within 20 "${pid[$part]}" && kill -KILL "${pid[$part]}"; done 2>/dev/null
  for child in "${left[@]}"; do gone_within 5 "$child" || kill -KILL "$child"; done 2>/dev/null
  [ -z "$runtime" ] || rm -rf "$runtime"
  if [ -n "$work" ] && [ "$verdict" != none ] && [ -z "${KEEP:-}" ]; then
    rm -rf "$work"
  elif [ -n "$work" ]; then
    echo "The evidence is in $work"
  fi
}
trap clean_up EXIT
trap 'verdict=interrupted; exit 130' INT TERM HUP

# --- The people ----------------------------------------------------------------------------------------------------------
# So many are cancelled and disabled that a thousand invoices have some of each.
start_staff() {
  start_part staff "$bin/staff" --admin "$admin" --staff demo --password-file "$work/password" --seed "$seed" --cancel 10 --disable 100
}
start_shoppers() {
  start_part shoppers "$bin/shoppers" --orders "$work/invoices.csv" --limit "$limit" --run "demo$$" --seed "$seed" --kiosk "$kiosk" \
    --kiosks "${KIOSKS:-8}" --admin "$admin" --staff demo --password-file "$work/password" --plan services/simulators/bots/mall.map \
    --result "$work/shoppers.jsonl"
}

show_progress() {
  local line
  line=$(printf '%6.1f s  %s' "$(elapsed)" "$(tail -n 1 "$work/shoppers.log" 2>/dev/null)")
  if [ -t 1 ]; then
    printf '\r\e[K%s' "${line:0:${COLUMNS:-160}}"
  elif (($(now_ms) - shown_ms > 5000)); then
    shown_ms=$(now_ms)
    echo "$line"
  fi
}
shown_ms=$began_ms
submitted() { { tail -n 1 "$work/shoppers.log" 2>/dev/null; echo; } | sed -nE 's/^([0-9]+) of ([0-9]+) .*/\1 \2/p'; } # and of how many

# --- Kills: each process once, in an order and at moments that the seed gives ---------------------------------------------------
# The process that `mall up` runs under that name: keeper (of the broker), a service, or services (all of them).
process_of() { # NAME
  local child words
  for child in $(children_of "${pid[mall]}"); do
    words=$(tr '\0' ' ' 2>/dev/null <"/proc/$child/cmdline") || continue
    case $1 in
      broker) [[ $words != *mallbotsd* ]] || children_of "$child" | tr -d ' ' ;;
      keeper) [[ $words != *mallbotsd* ]] || echo "$child" ;;
      services) [[ $words != *" run "* ]] || echo "$child" ;;
      *) [[ $words != *" $1 " ]] || echo "$child" ;;
    esac
  done
}
names_of_services() { sed -nE 's/^([a-z]+) .*/\1/p' services/mall/services.txt; }
dice() { echo "$seed $*" | md5sum | cut -c1-8; }
victims() {
  { echo broker; echo keeper; echo staff; if [ "$mode" = together ]; then echo services; else names_of_services; fi; } |
    while read -r part; do echo "$(dice "$part") $part"; done | sort | cut -d' ' -f2
}
kill_part() { # NAME
  local victim next="" tries
  if [ "$1" = staff ]; then victim=${pid[staff]} && disown "$victim"; else victim=$(process_of "$1"); fi
  [ -n "$victim" ] || fail "there is no process $1 to kill"
  echo "$1 pid=$victim unix_ms=$(date +%s%3N)" >>"$work/kills.txt"
  kill -KILL "$victim"
  [ "$1" != staff ] || start_staff
  for ((tries = 200; tries > 0; --tries)); do
    if [ "$1" = staff ]; then next=${pid[staff]}; else next=$(process_of "$1"); fi
    [ -z "$next" ] || [ "$next" = "$victim" ] || break
    sleep 0.1
  done
  ((tries > 0)) || fail "$1 was not started again within 20 s"
  say "$1 killed with SIGKILL (pid $victim) and started again (pid $next)"
}

watch_shoppers() {
  local queue=() part count now all share
  [ -z "${KILLS:-}" ] || mapfile -t queue < <(victims)
  count=${#queue[@]}
  while is_running shoppers; do
    for part in mall staff; do
      is_running "$part" || fail "$part has ended: $(tail -n 3 "$work/$part.log")"
    done
    show_progress
    if ((${#queue[@]} > 0)); then
      # Each has a part of the first nine tenths of the invoices, and dies somewhere within it.
      share=$((100 * (count - ${#queue[@]}) + 0x$(dice "when ${#queue[@]}") % 100))
      read -r now all <<<"$(submitted)"
      if ((${all:-0} > 0 && now * count * 1000 > all * share * 9)); then
        kill_part "${queue[0]}"
        queue=("${queue[@]:1}")
      fi
    fi
    sleep 0.2
  done
  ((${#queue[@]} == 0)) || fail "the orders were through before ${queue[*]} could be killed: take a higher LIMIT"
}

# --- The evidence --------------------------------------------------------------------------------------------------------
dump_topics() {
  local topic
  mkdir -p "$work/topics"
  mallbots topic list --all --format json | tr '{' '\n' | sed -nE 's/.*"topic": *"([^"]+)".*/\1/p' | grep -E '^mallbots\..*(\.events\.|\.dlq$)' >"$work/topics.txt"
  while read -r topic; do
    mallbots consume "$topic" -o start -e -J --internal >"$work/topics/$topic.jsonl" || fail "topic $topic cannot be read"
  done <"$work/topics.txt"
}

# The auditor asks both gateways itself, order by order.
ask_public() {
  local said
  said=$(timeout 300 python3 -B "$demo/auditor" ask --admin "$admin" --staff demo --password-file "$work/password" --kiosk "$kiosk" \
    --run "demo$$" --shoppers "$work/shoppers.jsonl" --answers "$work/answers.jsonl") || fail "the public API does not answer the auditor"
  say "the auditor has asked the public API: $said"
}

# No phone number and no card token of the shoppers may lie anywhere but in the customers' database.
search_personal_data() {
  local found files
  files=$(find "$work" -type f ! -name 'customers.db*' | wc -l)
  found=$(grep -raElZ --exclude='customers.db*' '7700900[0-9]{6}|tok_(declined_|slow_)?shopper_' "$work" | tr '\0' ' ' || true)
  [ -z "$found" ] || fail "phone numbers or card tokens lie in $found"
  say "no phone number and no card token in $files files; phone numbers are in the customers' database alone"
}

# --- The play ------------------------------------------------------------------------------------------------------------
for program in mallbotsd mallbots mall shoppers staff; do
  [ -x "$bin/$program" ] || fail "$bin/$program is not there; run: make demo"
done
mkdir -p "${DEMO_DIR:-build}"
work=$(mktemp -d "$(realpath -e -- "${DEMO_DIR:-build}")/demo-run.XXXXXX")
runtime=$(mktemp -d /tmp/mallbots-demo.XXXXXX) # short: a socket path ends at 107 bytes
: >"$work/kills.txt"
read -r kiosk_port admin_port <<<"$(free_ports 2)"
kiosk=http://127.0.0.1:$kiosk_port admin=http://127.0.0.1:$admin_port
settings=(--bots "$robots" --speed "${SPEED:-100}" --set "bots.seed=$seed" --set bots.pick_ms=300
  --set "kiosk.port=$kiosk_port" --set "admin.port=$admin_port")

read_orders "$orders_given" "$work/invoices.csv"
say "invoices: $orders_from, $([ "$limit" = 1000000000 ] && echo all of them || echo "the first $limit")"
hire_staff demo
start_mall
say "the mall is open ($mode): $(names_of_services | paste -sd' '); $robots robots; kiosk $kiosk, staff $admin"
start_staff
start_shoppers
watch_shoppers
wait "${pid[shoppers]}" || say "the shoppers have ended with a failure: $(tail -n 1 "$work/shoppers.log")"
say "$(tail -n 1 "$work/shoppers.log")"
end_part staff
ask_public
dump_topics
end_part mall || fail "the mall does not end"
search_personal_data
if [ -n "${SABOTAGE:-}" ]; then say "sabotage: $(python3 -B $demo/sabotage.py "$SABOTAGE" "$work")"; fi
say "all has ended; the auditor reads"
audit=(python3 -B "$demo/auditor" --invoices "$work/invoices.csv" --limit "$limit" --topics "$work/topics" --shoppers "$work/shoppers.jsonl"
  --answers "$work/answers.jsonl" --kills "$work/kills.txt")
"${audit[@]}" | tee "$work/verdict.txt" && verdict=expected
if [ -n "${SABOTAGE:-}" ]; then
  [ "$verdict" != expected ] || { verdict=none; fail "the auditor has not seen the sabotage"; }
  verdict=expected
  fail "the auditor has caught the sabotage, as it must"
fi
[ "$verdict" = expected ] || exit 1
