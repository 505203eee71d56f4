#!/usr/bin/env bash
# Usage: tests/check/browser.sh quick|full
# The pages in Chromium (tests/browser): Playwright and axe come by npm into tests/browser/node_modules, the browser from Debian.
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
