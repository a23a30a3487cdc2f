#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The rules of the house that no compiler checks. One argument names the rule; see `usage`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly max_lines=500
failures=0
report() {
  echo "$*"
  failures=$((failures + 1))
}

# Sources: tracked files in a git checkout, all files in an unpacked archive.
list_files() { # PATTERN...
  if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@"
  else
    local pattern
    for pattern in "$@"; do find . -path ./build -prune -o -path "./$pattern" -print; done | sed 's,^\./,,'
  fi
}

# The table of docs/ARCHITECTURE.md, "Rooms": what each folder may include, as path prefixes.
allowed_prefixes() { # FILE
  local engine='fs/core/ fs/pmem/ fs/format/ fs/base/'
  case $1 in
    fs/base/*) echo 'fs/base/' ;;
    fs/format/*) echo 'fs/format/ fs/base/' ;;
    fs/pmem/*) echo 'fs/pmem/ fs/format/ fs/base/' ;;
    fs/core/*) echo "$engine" ;;
    fs/fuse/*) echo "fs/fuse/ $engine" ;;
    fs/main.cc) echo "fs/fuse/ replicator/ $engine" ;;
    replicator/*)
      echo 'replicator/ fs/core/replication_sink.h fs/core/replay.h fs/pmem/ fs/format/ fs/base/' ;;
    mkfs/*) echo "mkfs/ $engine" ;;
    tools/ctl/*)
      echo "tools/ replicator/ fs/fuse/mount_table.h fs/fuse/status_socket.h $engine" ;;
    tools/*) echo "tools/ $engine" ;;
    *) return 1 ;;
  esac
}

# Parts of the engine that change a pool: none of a tool's business.
writers='fs/core/(volume|transaction|transaction_manager|allocator)\.h'

check_includes() {
  local file include prefix allowed found
  while read -r file; do
    allowed=$(allowed_prefixes "$file") || { report "$file: no room in docs/ARCHITECTURE.md"; continue; }
    while read -r include; do
      found=no
      for prefix in $allowed; do
        case $include in "$prefix"*) found=yes ;; esac
      done
      [ $found = yes ] || report "$file includes $include: may include only $allowed"
      [ -e "$include" ] || report "$file includes $include: write the path from the top of the tree"
      case $file in
        mkfs/* | tools/*)
          if [[ $include =~ ^$writers$ ]]; then report "$file includes $include: it changes pools"; fi ;;
      esac
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]+)".*/\1/p' "$file")
  done < <(list_files 'fs/*.h' 'fs/*.cc' 'replicator/*.h' 'replicator/*.cc' 'mkfs/*.h' 'mkfs/*.cc' \
    'tools/*.h' 'tools/*.cc')
}

check_length() {
  local file lines
  while read -r file; do
    [ -e "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le $max_lines ] || report "$file: $lines lines, at most $max_lines: split it by what it does"
  done < <(list_files '*.h' '*.cc' '*.sh')
}

check_licence() {
  local file
  while read -r file; do
    [ -e "$file" ] || continue
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' ||
      report "$file: no SPDX-License-Identifier line"
  done < <(list_files '*.h' '*.cc' '*.sh' '*.py' '*CMakeLists.txt' quickstart test bench/run)
}

# Every input that once failed says what it was.
check_regressions() {
  local folder=tests/fuzz/regressions file
  while read -r file; do
    [ -f "$file" ] || continue
    file=${file#"$folder"/}
    [ "$file" = README.md ] || grep -qF "\`$file\`" $folder/README.md ||
      report "$folder/$file: no line in $folder/README.md says what it was"
  done < <(list_files "$folder/*")
  while read -r file; do
    [ -e "$folder/$file" ] || report "$folder/README.md names $file, which is not there"
  done < <(sed -nE 's/^\| `([^`]+)` \|.*/\1/p' $folder/README.md)
}

case ${1:-} in
  includes) check_includes ;;
  length) check_length ;;
  licence) check_licence ;;
  regressions) check_regressions ;;
  *) echo "usage: check_structure.sh includes|length|licence|regressions" >&2; exit 2 ;;
esac
[ $failures = 0 ] || { echo "$failures found"; exit 1; }
