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

# Where nothing ends, there is nothing to wait for.
umount_helper() {
  local begin=$SECONDS
  run "$top/packaging/umount.fuse.mirdax" "$1"
  [ $((SECONDS - begin)) -lt 20 ] || fail "the helper waited $((SECONDS - begin)) s for $1"
}
pm_mode=direct
other_dir=$set_dir/other
mkdir "$other_dir"
other_mounts+=("$other_dir")

mount_copy 0 degraded
mount --bind "$mount_dir" "$other_dir"
umount_helper "$mount_dir"
kill -0 "${daemon[0]}" 2>/dev/null || fail "the daemon ended though a bind mount is left"
umount_helper "$other_dir"
wait "${daemon[0]}" || fail "the daemon did not end cleanly after its bind mount"
unset "daemon[0]"

# The same pool twice, read-only: each has a daemon of its own.
run mount.mirdax "$set_dir/0.pool" "$mount_dir" -o ro
run mount.mirdax "$set_dir/0.pool" "$other_dir" -o ro
umount_helper "$other_dir"
ls "$mount_dir" >/dev/null || fail "the other mount of the pool is gone"
umount_helper "$mount_dir"

# By its other name, and where the daemon cannot be asked: the pool's lock is waited for.
ln -s "$MIRDAX_BIN/mount.mirdax" "$set_dir/mount.fuse.mirdax"
for how in named silent; do
  run "$set_dir/mount.fuse.mirdax" "$set_dir/0.pool" "$mount_dir" -o degraded
  cp "$set_dir/bytes" "$mount_dir/$how"
  if [ $how = silent ]; then
    run rm "/run/mirdax/$(awk -v dir="$mount_dir" '$5 == dir { sub(":", "-", $3); print $3 }' \
      /proc/self/mountinfo).sock"
  fi
  umount_helper "$mount_dir"
  fsck_clean 0
done

# Another filesystem on the same directory hides the one below.
run mkfs.mirdax -s 256M "$set_dir/above.pool"
run mount.mirdax "$set_dir/0.pool" "$mount_dir" -o degraded
below=$({ mirdax status --json "$mount_dir" || true; } | jq .pid) # degraded: exit code 3
run mount.mirdax "$set_dir/above.pool" "$mount_dir"
umount_helper "$mount_dir"
kill -0 "$below" || fail "the daemon of the mount below ended"
umount_helper "$mount_dir"
fsck_clean 0
echo "umount: everything was durable"
