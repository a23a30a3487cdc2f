#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A medium that refuses bytes under running daemons: the pool's file is cut short below their
# mappings, and what lay behind the cut raises SIGBUS. Errors, never zeros, never a dead daemon.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/set.sh"

lives() { kill -0 "${daemon[$1]}" 2>/dev/null || fail "the daemon of copy $1 has ended: $2"; }

refused() { # WHAT COMMAND...
  local what=$1
  shift
  if timeout 30 "$@" >"$set_dir/out" 2>"$set_dir/err"; then fail "$what succeeded"; fi
  grep -q 'Input/output error' "$set_dir/err" || { cat "$set_dir/err" >&2; fail "$what: not EIO"; }
}

status_says() { # PATTERN
  local code=0
  mirdax status "$mount_dir" --json >"$set_dir/status" || code=$?
  [ $code = 3 ] || fail "mirdax status: exit code $code instead of 3"
  grep -q "$1" "$set_dir/status" || { cat "$set_dir/status" >&2; fail "status lacks $1"; }
}

new_set 1 64M
start_mirror 1
mount_copy 0 '' 1
head -c 1M /dev/urandom >"$set_dir/bytes"
cp "$set_dir/bytes" "$mount_dir/kept"
sync "$mount_dir/kept"
cp "$set_dir/bytes" "$mount_dir/lost"
sync "$mount_dir/lost"
unmount_copy 0
block=$(dump.mirdax "$set_dir/0.pool" inode --path /lost --json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["extents"][0]["pool_block"])')

echo '-- file data'
mount_copy 0 '' 1
truncate -s $((block * 4096)) "$set_dir/0.pool"
refused 'a read of what was cut off' cat "$mount_dir/lost"
refused 'a second read' cat "$mount_dir/lost"
refused 'a copy' cp --reflink=never "$mount_dir/lost" "$mount_dir/copy"
refused 'a write' dd if="$set_dir/bytes" of="$mount_dir/lost" bs=4k count=1 conv=notrunc status=none
cmp "$set_dir/bytes" "$mount_dir/kept" || fail 'the other file is not what was written'
lives 0 'file data'
status_says '"file data"'
mkdir "$mount_dir/directory" || fail 'a directory cannot be made any more'
sync "$mount_dir/directory"

echo '-- metadata'
truncate -s 20480 "$set_dir/0.pool"
refused 'a change' mkdir "$mount_dir/another"
lives 0 'metadata'
status_says '"metadata"'
grep -q '"shut_down": true' "$set_dir/status" || fail 'status does not say that it has shut down'
umount "$mount_dir"
wait_end 0 60 || fail 'the daemon did not end after umount'
code=0
wait "${daemon[0]}" || code=$?
unset 'daemon[0]'
[ $code -gt 0 ] && [ $code -lt 128 ] || fail "the daemon ended with code $code"
terminate 1

echo '-- a mirror'
rm "$set_dir/0.pool" "$set_dir/1.pool"
run mkfs.mirdax -s 64M "$set_dir/0.pool"
run mkfs.mirdax --mirror -s 64M "$set_dir/1.pool"
start_mirror 1
mount_copy 0 '' 1
truncate -s 20480 "$set_dir/1.pool"
cp "$set_dir/bytes" "$mount_dir/kept" || fail 'the mount did not go on without its mirror'
sync "$mount_dir/kept" || fail 'a sync failed of what happened to a mirror'
lives 1 'mirror'
status_says '"ejected"'
cmp "$set_dir/bytes" "$mount_dir/kept" || fail 'the file is not what was written'
unmount_copy 0
fsck_clean 0
lives 1 'mirror'
kill_now 1

echo '-- commands'
for command in "mirdax promote $set_dir/1.pool" "fsck.mirdax $set_dir/1.pool" \
  "dump.mirdax $set_dir/1.pool all"; do
  code=0
  timeout 60 $command >"$set_dir/out" 2>&1 </dev/null || code=$?
  [ $code -gt 0 ] && [ $code -lt 100 ] || { cat "$set_dir/out" >&2; fail "$command: code $code"; }
done
echo 'ok'
