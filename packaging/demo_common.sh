# shellcheck shell=bash disable=SC2154,SC2034
# What all demos share: sourced, not run. Needs: bin, runtime (sockets) and fail. Each part is a process: pid[PART] says which.
declare -A pid=()

now_ms() { echo $(("${EPOCHREALTIME/./}" / 1000)); }
began_ms=$(now_ms)
elapsed() { echo "$(($(now_ms) - began_ms))" | sed -E 's/^/000/; s/0*([0-9]+)([0-9]{3})$/\1.\2/'; }
say() { [ ! -t 1 ] || printf '\r\e[K'; printf '%6.1f s  %s\n' "$(elapsed)" "$*"; }

is_running() { [ -n "${pid[$1]:-}" ] && kill -0 "${pid[$1]}" 2>/dev/null; }
children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }
gone_within() { # SECONDS PID
  local tries
  for ((tries = $1 * 20; tries > 0; --tries)); do
    kill -0 "$2" 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}
mallbots() { timeout 60 "$bin/mallbots" --runtime-dir "$runtime" "$@"; }

# Orders as CSV into OUT, from ORDERS (empty: the shared retail file if it is there, else invented ones). orders_from says from where.
read_orders() { # ORDERS OUT
  local shared=../shared/data/online_retail_2010-12_2011-03.csv.zst
  orders_from=$1
  [ -n "$orders_from" ] || [ ! -r "$shared" ] || orders_from=$shared
  case $orders_from in
    "") orders_from="invented ones" && python3 -B packaging/demo-log/orders.py generate 142000 >"$2" ;;
    *.zst) zstd -dcq -- "$orders_from" >"$2" ;;
    *.gz) gzip -dc -- "$orders_from" >"$2" ;;
    *) cat -- "$orders_from" >"$2" ;;
  esac || fail "cannot read orders from $orders_from"
}
