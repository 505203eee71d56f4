#!/usr/bin/env bash
# Usage: tests/check/browser.sh quick|full
# The pages in Chromium (tests/browser): Playwright and axe come by npm into tests/browser/node_modules, the browser from Debian.
# quick: against a mall that is made up. full: then against a real one as well (some 15 minutes), if its programs are built.
set -euo pipefail
cd "$(dirname "$0")/../browser"
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "skipped: there is no $tool; packaging/setup.sh browser"; exit 77; }
done
if [ -z "${CHROMIUM:-}" ] && ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null; then
  echo "skipped: there is no Chromium; packaging/setup.sh browser"
  exit 77
fi
if [ ! -d node_modules/@playwright/test ] || [ package-lock.json -nt node_modules ]; then
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error || { echo "skipped: npm cannot get Playwright"; exit 77; }
  touch node_modules
fi
npx playwright test "${@:2}"
[ "${1:-quick}" = full ] && [ -z "${PICTURES:-}${MALL_KIOSK:-}" ] || exit 0
bin=$(realpath ../../build/release/bin)
if [ ! -x "$bin/mall" ] || [ ! -x "$bin/mallbotsd" ] || [ ! -x "$bin/mallbots" ]; then
  echo "the real mall is left out: its programs are not in $bin; make build"
  exit 0
fi
MALL_BIN=$bin npx playwright test "${@:2}"
