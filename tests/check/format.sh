#!/usr/bin/env bash
# Every C++ file has the form of .clang-format. Mend with: clang-format-19 -i FILE
set -euo pipefail
cd "$(dirname "$0")/../.."
# tests/models holds Promela, its header too.
mapfile -t files < <(find shm broker clients services bench tests -path tests/models -prune -o \( -name '*.h' -o -name '*.cpp' \) -print 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || { echo "skipped: no C++ file in the tree yet"; exit 77; }
# A process for many files: starting one takes longer than reading a file.
said=$(printf '%s\0' "${files[@]}" |
  xargs -0 -P "${JOBS:-$(nproc)}" -n 50 clang-format-19 --dry-run -Werror 2>&1) && outcome=0 || outcome=$?
bad=$(sed -nE 's/^([^ :]+):[0-9]+:[0-9]+: error: .*/\1/p' <<<"$said" | sort -u)
count=0
for file in $bad; do
  echo "$file: not in form; run clang-format-19 -i $file"
  count=$((count + 1))
done
[ "$outcome" -eq 0 ] || [ "$count" -gt 0 ] || { echo "$said"; exit 1; } # clang-format itself failed
echo "${#files[@]} files, $count out of form"
[ "$count" -eq 0 ]
