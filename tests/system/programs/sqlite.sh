#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# SQLite with synchronous=FULL, rollback journal and WAL: the primary is lost in the middle of
# commits, and a promoted mirror has every acknowledged one.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# Inserts a row a transaction into NAME.db, until the filesystem goes; notes each one outside.
commit_rows() { # NAME JOURNAL_MODE
  local number=1 answer
  coproc sqlite { exec stdbuf -oL sqlite3 -batch -bail "$mount_dir/$1.db"; }
  local from=${sqlite[0]} to=${sqlite[1]}
  printf '%s\n' "PRAGMA journal_mode=$2;" 'PRAGMA synchronous=FULL;' \
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

check_rows() { # NAME
  local noted present
  noted=$(wc -l <"$scratch/$1.notes")
  [ "$noted" -gt 0 ] || fail "$1: nothing was committed"
  present=$(sqlite3 -batch "$mount_dir/$1.db" "SELECT count(*) FROM t WHERE number <= $noted")
  [ "$present" = "$noted" ] || fail "$1: $present of $noted acknowledged rows are there"
  [ "$(sqlite3 -batch "$mount_dir/$1.db" 'PRAGMA integrity_check')" = ok ] || fail "$1: integrity"
  [ "$(sqlite3 -batch "$mount_dir/$1.db" \
    'SELECT count(*) FROM t WHERE sum IS NOT hex(sha3(text))')" = 0 ] || fail "$1: row checksums"
  say_time "$1: $noted acknowledged commits, all there"
}

pm_mode=shadow
begin
commit_rows rollback DELETE 2>>"$scratch/sqlite.log" &
rollback=$!
commit_rows wal WAL 2>>"$scratch/sqlite.log" &
wal=$!
sleep 4
kill_now 0
wait $rollback $wal || true
forget_mount
terminate 1
promote 1
mount_copy 1 '' 2
check_rows rollback
check_rows wal
sqlite3 -batch "$mount_dir/wal.db" 'INSERT INTO t(text) VALUES (1); VACUUM;' >/dev/null
finish 1 2
