#!/usr/bin/env bash
# Usage: packaging/demo/up.sh up|down|reset      what `make up`, `make down` and `make reset` run
# up opens a mall that stays: all services, gateways, robots, and a shop with real products. It prints where its pages are. Again: prints
# that anew. down ends it and keeps what is in it for the next up. reset ends it and removes its data, after asking (YES=1: without).
#   KIOSK_PORT=N, ADMIN_PORT=N   of the pages (default 8080, 8081)   ORDERS=FILE   whose products (as for make demo)
#   ROBOTS=N        how many (default 20)        SPEED=X   of the robots, times life (default 5)
#   LIMIT=N         the products of the first N invoices (default 50)
#   UP_DIR=DIR      data and logs (default build/mall)                BIN=DIR   where the programs are (default build/demo/bin)
set -euo pipefail
orders_given=${ORDERS:+$(realpath -e -- "$ORDERS")} || { echo "up: ORDERS=$ORDERS: no such file" >&2; exit 2; }
cd "$(dirname "$0")/../.."
bin=${BIN:-build/demo/bin} mode=together with_us=(setsid)
work=$(realpath -m -- "${UP_DIR:-build/mall}")
runtime=$(cat "$work/runtime" 2>/dev/null || true)
kiosk_port=${KIOSK_PORT:-8080} admin_port=${ADMIN_PORT:-8081}
kiosk=http://127.0.0.1:$kiosk_port admin=http://127.0.0.1:$admin_port
settings=(--bots "${ROBOTS:-20}" --speed "${SPEED:-5}" --set "kiosk.port=$kiosk_port" --set "admin.port=$admin_port")
# shellcheck source=packaging/demo/parts.sh
. packaging/demo/parts.sh
fail() {
  echo "up: $*" >&2
  case $* in *.port*) echo "up: KIOSK_PORT=N ADMIN_PORT=N make up takes other ports" >&2 ;; esac
  exit 1
}

# A number that was used again by another process is not ours: its command names our folder.
find_mall() {
  local number
  number=$(cat "$work/pid" 2>/dev/null || true)
  [ -n "$number" ] && tr '\0' ' ' 2>/dev/null <"/proc/$number/cmdline" | grep -qF -- "mall up " &&
    tr '\0' ' ' <"/proc/$number/cmdline" | grep -qF -- "$work/mall" && pid[mall]=$number
}

up() {
  if ! find_mall; then
    end_orphans
    mkdir -p "$work"
    runtime=$(mktemp -d /tmp/mallbots-up.XXXXXX) # short: a socket path ends at 107 bytes
    echo "$runtime" >"$work/runtime"
    : >"$work/mall.log"
    [ -s "$work/password" ] || hire_staff demo
    # Whatever goes wrong from here on: nothing stays that is half open.
    trap 'down >/dev/null' EXIT
    trap 'exit 130' INT TERM HUP
    start_mall
    echo "${pid[mall]}" >"$work/pid"
    open_shop
    trap - EXIT INT TERM HUP
    disown "${pid[mall]}"
  fi
  echo "The mall is open:"
  echo "  customers   $kiosk/        the kiosk's page"
  echo "  staff       $("$bin/mall" staff link demo --data-dir "$work/mall" --runtime-dir "$runtime" --address "$admin")"
  echo "              signs in once, within 15 minutes; make up prints another one"
  echo "  an order    $bin/mall order ID --runtime-dir $runtime --data-dir $work/mall"
  echo "Its data and logs are in $work. make down closes it, make reset removes it."
}

open_shop() { # once: what stands stays
  [ ! -e "$work/shop" ] || return 0
  read_orders "$orders_given" "$work/invoices.csv"
  echo "The shop gets the products of the first ${LIMIT:-50} invoices of $orders_from ..."
  timeout 300 "$bin/shoppers" --orders "$work/invoices.csv" --limit "${LIMIT:-50}" --admin "$admin" --staff demo \
    --password-file "$work/password" --plan services/simulators/bots/mall.map || fail "the shop cannot be opened"
  rm -f "$work/invoices.csv"
  touch "$work/shop"
}

# The broker of a mall that was killed outlives it.
end_orphans() {
  local file words number
  for file in /proc/[0-9]*/cmdline; do
    words=$(tr '\0' ' ' 2>/dev/null <"$file") || continue
    [[ $words == *mallbotsd\ *" --data-dir $work/mall/broker " ]] || continue
    number=${file//[!0-9]/}
    kill -TERM "$number" 2>/dev/null || continue
    gone_within 20 "$number" || kill -KILL "$number"
  done
  [ -z "$runtime" ] || rm -rf "$runtime"
}

down() {
  if [ -n "${pid[mall]:-}" ] || find_mall; then
    end_part mall || echo "up: the mall did not end by itself and was killed" >&2
    echo "The mall is closed; its data stays in $work for the next make up."
  else
    echo "No mall is open."
  fi
  end_orphans
  rm -f "$work/runtime" "$work/pid"
}

reset() {
  down
  [ -d "$work" ] || return 0
  echo "This removes all orders, customers, products and logs in $work ($(du -sh "$work" | cut -f1))."
  if [ -z "${YES:-}" ]; then
    [ -t 0 ] || fail "nobody to ask; YES=1 make reset removes it"
    read -r -p "Remove it? [y/N] " answer
    case $answer in y | Y | yes) ;; *) echo "Kept."; return 0 ;; esac
  fi
  rm -rf "$work"
  echo "Removed."
}

case ${1:-} in
  up)
    for program in mallbotsd mall shoppers; do [ -x "$bin/$program" ] || fail "$bin/$program is not there; run: make up"; done
    up ;;
  down) down ;;
  reset) reset ;;
  *) sed -n '2s/^# //p' "$0" >&2; exit 2 ;;
esac
