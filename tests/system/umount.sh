#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What umount(8)'s helper promises: when it has returned everything is durable, here and on the mirror,
# and the pool is clean and free. The pool is in shadow mode, and nothing was synced before.
set -euo pipefail
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
source "$top/tests/support/set.sh"

pm_mode=shadow
new_set 1 256M
start_mirror 1
mount_copy 0 commit=300 1
head -c 60M /dev/urandom >"$set_dir/bytes"
cp "$set_dir/bytes" "$mount_dir/bytes"
run "$top/packaging/umount.fuse.mirdax" "$mount_dir"
kill -KILL "${daemon[0]}" 2>/dev/null || true
fsck_clean 0
wait "${daemon[0]}" 2>/dev/null || true
unset "daemon[0]"
kill_now 1
promote 1
for copy in 0 1; do
  mount_copy $copy "$([ $copy = 1 ] || echo degraded)"
  cmp "$set_dir/bytes" "$mount_dir/bytes" || fail "copy $copy has lost what was written before umount"
  unmount_copy $copy
  fsck_clean $copy
done
if output=$("$top/packaging/umount.fuse.mirdax" "$mount_dir" 2>&1); then
  fail "what is not mounted was unmounted: $output"
fi
echo "umount: everything was durable"
