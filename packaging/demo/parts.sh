# shellcheck shell=bash disable=SC2154,SC2034
# What a running mall is made of, for run.sh and up.sh: sourced, not run. Needs: bin; work (data and logs), runtime (sockets), mode
# (together or separate), settings (of `mall up`), fail. Each part is a process: pid[PART] says which, $work/PART.log what it says.
declare -A pid=()

now_ms() { echo $(("${EPOCHREALTIME/./}" / 1000)); }
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

# with_us: what a part is started through, so that it ends with whoever started it (empty: it stays).
start_part() { # PART COMMAND...
  local part=$1
  shift
  "${with_us[@]}" "$@" >>"$work/$part.log" 2>&1 </dev/null &
  pid[$part]=$!
}
end_part() { # PART: ends it and says what it said if that went wrong
  is_running "$1" || return 0
  kill -TERM "${pid[$1]}"
  gone_within 20 "${pid[$1]}" || { kill -KILL "${pid[$1]}"; return 1; }
}

free_ports() { # HOW-MANY: all of them at once, so that they differ
  python3 -c 'import socket, sys
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in taken))' "$1"
}

# The broker and all services, gateways and robots, in one process or one each; `mall up` starts again what dies.
start_mall() {
  start_part mall "$bin/mall" up "--$mode" --runtime-dir "$runtime" --data-dir "$work/mall" "${settings[@]}"
  local tries
  for ((tries = 900; tries > 0; --tries)); do
    ! grep -q "^The mall is open" "$work/mall.log" || return 0
    is_running mall || break
    sleep 0.1
  done
  fail "the mall does not open: $(tail -n 3 "$work/mall.log")"
}

# Somebody who may do all that the staff does, with a password in $work/password that nobody else can read.
hire_staff() { # NAME
  (umask 077 && mkdir -p "$work/mall" && head -c 18 /dev/urandom | base64 >"$work/password")
  timeout 20 "$bin/mall" staff add "$1" --role store-admin --role depot-admin --password --data-dir "$work/mall" --runtime-dir "$runtime" \
    <"$work/password" || fail "the staff '$1' cannot be hired"
}

# Invoices as CSV into $work/invoices.csv, from ORDERS (given, or empty: the shared retail file if it is there, else invented ones).
prepare_invoices() { # ORDERS
  local from=$1 shared=../shared/data/online_retail_2010-12_2011-03.csv.zst
  [ -n "$from" ] || [ ! -r "$shared" ] || from=$shared
  case $from in
    "") from="invented ones" && python3 -B packaging/demo-log/orders.py generate 142000 >"$work/invoices.csv" ;;
    *.zst) zstd -dcq -- "$from" >"$work/invoices.csv" ;;
    *.gz) gzip -dc -- "$from" >"$work/invoices.csv" ;;
    *) cat -- "$from" >"$work/invoices.csv" ;;
  esac || fail "cannot read invoices from $from"
  invoices_from=$from
}
