#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# SQLite with rollback journals and WAL, synchronous=FULL: the primary is lost in the middle of
# commits, and a promoted mirror has every acknowledged one.
#
# With a rollback journal a commit is the end of that journal. Where SQLite syncs that end, not one
# commit may be missing: it truncates (FULL syncs the file), or it deletes and is told EXTRA (syncs
# the directory). Deleting under FULL it does not: its documentation says that the last transaction
# may be rolled back by a power loss, on any filesystem. There, one may be missing, and only the last.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# Inserts a row a transaction into NAME.db, until the filesystem goes; notes each one outside.
commit_rows() { # NAME JOURNAL_MODE SYNCHRONOUS
  local number=1 answer
  coproc sqlite { exec stdbuf -oL sqlite3 -batch -bail "$mount_dir/$1.db"; }
  local from=${sqlite[0]} to=${sqlite[1]}
  printf '%s\n' "PRAGMA journal_mode=$2;" "PRAGMA synchronous=$3;" \
    'CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT, sum TEXT);' >&"$to"
  read -r -t 20 answer <&"$from" || return 0
  trap '' PIPE
  while printf 'WITH new(x) AS (SELECT hex(randomblob(400)))
      INSERT INTO t SELECT %d, x, hex(sha3(x)) FROM new; SELECT %d;\n' $number $number >&"$to" &&
    read -r -t 20 answer <&"$from" && [ "$answer" = $number ]; do
    echo $number >>"$scratch/$1.notes"
    number=$((number + 1))
  done
}

check_rows() { # NAME [MAY_LACK]
  local noted present
  noted=$(wc -l <"$scratch/$1.notes")
  [ "$noted" -gt 0 ] || fail "$1: nothing was committed"
  present=$(sqlite3 -batch "$mount_dir/$1.db" "SELECT count(*) FROM t WHERE number <= $noted")
  [ "$present" -ge $((noted - ${2:-0})) ] ||
    fail "$1: $present of $noted acknowledged rows are there"
  [ "$(sqlite3 -batch "$mount_dir/$1.db" \
    "SELECT coalesce(max(number), 0) FROM t WHERE number <= $noted")" = "$present" ] ||
    fail "$1: a row is missing that is not the last"
  [ "$(sqlite3 -batch "$mount_dir/$1.db" 'PRAGMA integrity_check')" = ok ] || fail "$1: integrity"
  [ "$(sqlite3 -batch "$mount_dir/$1.db" \
    'SELECT count(*) FROM t WHERE sum IS NOT hex(sha3(text))')" = 0 ] || fail "$1: row checksums"
  say_time "$1: $noted acknowledged commits, $present are there"
}

pm_mode=shadow
begin
databases=('wal WAL FULL' 'truncate TRUNCATE FULL' 'extra DELETE EXTRA' 'delete DELETE FULL')
writers=()
for database in "${databases[@]}"; do
  # shellcheck disable=SC2086
  commit_rows $database 2>>"$scratch/sqlite.log" &
  writers+=($!)
done
sleep 4
kill_now 0
wait "${writers[@]}" || true
forget_mount
terminate 1
promote 1
mount_copy 1 '' 2
for database in wal truncate extra; do check_rows $database; done
check_rows delete 1
sqlite3 -batch "$mount_dir/wal.db" 'INSERT INTO t(text) VALUES (1); VACUUM;' >/dev/null
finish 1 2
