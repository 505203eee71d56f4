#!/usr/bin/env bash
# Usage: packaging/setup.sh GROUP...     (groups of packaging/debian-packages.txt: build test check browser)
# Installs what is missing, after saying what and why; silent and quick when nothing is.
# Not root: through sudo. MALLBOTS_NO_INSTALL=1: only says what is missing and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
list=packaging/debian-packages.txt

[ $# -gt 0 ] || { echo "setup: name at least one group: build, test or check" >&2; exit 2; }
for group in "$@"; do
  grep -q "^$group " "$list" || { echo "setup: no group '$group' in $list" >&2; exit 2; }
done

wanted() { # "package<TAB>why" of the groups asked for
  local group
  for group in "$@"; do
    sed -nE "s/^$group +([^ ]+) .*# *(.*)$/\1\t\2/p" "$list"
  done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is no Debian; going on in the hope that these are there: $(wanted "$@" | cut -f1 | tr '\n' ' ')"
  exit 0
fi

missing=()
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')
while IFS=$'\t' read -r package why; do
  if ! grep -qxF "$package" <<<"$installed"; then
    [ ${#missing[@]} -gt 0 ] || echo "setup: these Debian packages are missing:"
    printf '  %-24s %s\n' "$package" "$why"
    missing+=("$package")
  fi
done <<<"$(wanted "$@")" # no <(): a bare chroot has no /dev/fd
[ ${#missing[@]} -gt 0 ] || exit 0

if [ -n "${MALLBOTS_NO_INSTALL:-}" ]; then
  echo "setup: MALLBOTS_NO_INSTALL is set; install them with: apt-get install ${missing[*]}" >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: not root and no sudo here; as root run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo)
fi
root+=(env DEBIAN_FRONTEND=noninteractive)
echo "setup: installing them now with: ${root[*]} apt-get install --no-install-recommends"
apt_install() {
  "${root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null
}
# The lists may be absent (a bare system) or stale (a package moved): then once more after an update.
if ! apt_install; then
  echo "setup: once more with fresh package lists"
  "${root[@]}" apt-get update -q </dev/null
  apt_install || { echo "setup: apt-get could not install: ${missing[*]}" >&2; exit 1; }
fi
