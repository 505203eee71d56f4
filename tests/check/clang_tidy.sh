#!/usr/bin/env bash
# clang-tidy over the hearts. quick: shm/ and what the last commit changed; full: shm, broker, clients.
set -euo pipefail
cd "$(dirname "$0")/../.."
commands=build/release/compile_commands.json
[ -f "$commands" ] || { echo "skipped: no $commands; run make build"; exit 77; }
if [ "$1" = full ]; then
  mapfile -t files < <(find shm broker clients -name '*.cpp' 2>/dev/null | sort)
else
  mapfile -t files < <({
    find shm -name '*.cpp' 2>/dev/null
    git diff --name-only --diff-filter=d HEAD~1 -- 'broker/*.cpp' 'clients/*.cpp' 2>/dev/null || true
  } | sort -u)
fi
mkdir -p build/check
compiled=()
for file in "${files[@]}"; do
  if grep -q "/$file\"" "$commands"; then compiled+=("$file"); fi # examples are built as outside projects
done
[ ${#compiled[@]} -gt 0 ] || { echo "skipped: no compiled source of shm, broker or clients yet"; exit 77; }
# g++ knows warnings that clang does not; they are no finding.
printf '%s\n' "${compiled[@]}" | xargs -P "${JOBS:-$(nproc)}" -n 1 \
  clang-tidy-19 --quiet -p build/release --extra-arg=-Wno-unknown-warning-option 2>build/check/clang_tidy.err || {
  echo "clang-tidy found something (above); ${#compiled[@]} files read"
  exit 1
}
echo "${#compiled[@]} files, nothing found"
