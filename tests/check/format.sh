#!/usr/bin/env bash
# Every C++ file has the form of .clang-format. Mend with: clang-format-19 -i FILE
set -euo pipefail
cd "$(dirname "$0")/../.."
# tests/models holds Promela, its header too.
mapfile -t files < <(find shm broker clients services bench tests -path tests/models -prune -o \( -name '*.h' -o -name '*.cpp' \) -print 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || { echo "skipped: no C++ file in the tree yet"; exit 77; }
bad=0
for file in "${files[@]}"; do
  if ! clang-format-19 --dry-run -Werror "$file" 2>/dev/null; then
    echo "$file: not in form; run clang-format-19 -i $file"
    bad=$((bad + 1))
  fi
done
echo "${#files[@]} files, $bad out of form"
[ "$bad" -eq 0 ]
