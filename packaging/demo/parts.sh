# shellcheck shell=bash disable=SC2154,SC2034
# What a running mall is made of, for run.sh and up.sh: sourced, not run. Needs: bin; work (data and logs), runtime (sockets), mode
# (together or separate), settings (of `mall up`), fail. $work/PART.log is what a part says.
# shellcheck source=packaging/demo_common.sh
. packaging/demo_common.sh

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
