#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon as mount(8), an administrator and a script meet it.
set -euo pipefail
. "$(dirname "$0")/../../support/set.sh"

new_set 0 128M
pool=$set_dir/0.pool

# The process that serves $mount_dir in the background.
serving_pid() { pgrep -f "mount.mirdax $pool $mount_dir" || true; }

wait_gone() { # PID
  local deadline=$((SECONDS + 30))
  while kill -0 "$1" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || fail "process $1 did not end"
    sleep 0.02
  done
}

socket_path() {
  local device
  device=$(awk -v dir="$mount_dir" '$5 == dir { print $3 }' /proc/self/mountinfo)
  echo "/run/mirdax/${device/:/-}.sock"
}

echo '== a background mount is silent, answers when the command returns, and ends with umount'
output=$(mount.mirdax "$pool" "$mount_dir" 2>&1) || fail "mount.mirdax: $output"
[ -z "$output" ] || fail "not silent: $output"
pid=$(serving_pid)
[ -n "$pid" ] || fail 'no daemon'
echo data >"$mount_dir/file"
grep -q " $mount_dir .*nosuid,nodev.* - fuse.mirdax $pool " /proc/self/mountinfo ||
  fail "the mount table says: $(grep "$mount_dir" /proc/self/mountinfo)"
socket=$(socket_path)
[ -S "$socket" ] || fail "no status socket $socket"
[ "$(stat -c %a "$socket")" = 600 ] || fail 'the status socket is open to others'
umount "$mount_dir"
wait_gone "$pid"
# By now a mount of another test may have the device number, and its socket there.
[ ! -e "$socket" ] || grep -q " $socket\$" /proc/net/unix || fail 'the status socket stayed'
fsck_clean 0

echo '== SIGTERM unmounts cleanly, and keeps what was stored through a mapping'
mount_copy 0 ''
python3 - "$mount_dir/mapped" <<'PYTHON'
import mmap, sys
with open(sys.argv[1], "w+b") as f:
    f.truncate(4096)
    with mmap.mmap(f.fileno(), 4096) as m:
        m[0:6] = b"mapped"
PYTHON
terminate 0
! is_mounted "$mount_dir" || fail 'still mounted after SIGTERM'
fsck_clean 0
mount_copy 0 ''
[ "$(head -c 6 "$mount_dir/mapped")" = mapped ] || fail 'lost what was stored through a mapping'

echo '== SIGTERM ends a mount that is in use'
exec 7<"$mount_dir/file"
terminate 0
exec 7<&-
! is_mounted "$mount_dir" || fail 'still mounted after SIGTERM'
fsck_clean 0

echo '== what was there before is there after SIGKILL'
mount_copy 0 ''
[ "$(cat "$mount_dir/file")" = data ] || fail 'lost a file'
echo synced >"$mount_dir/synced"
sync "$mount_dir/synced"
kill_now 0
forget_mount
mount_copy 0 ''
[ "$(cat "$mount_dir/synced")" = synced ] || fail 'lost a synced file'

echo '== a pool in use cannot be mounted again'
mkdir "$set_dir/other"
fails_with 32 "$pool: " mount.mirdax "$pool" "$set_dir/other"
unmount_copy 0

echo '== a second umount changes nothing'
mount_copy 0 ''
umount "$mount_dir"
! umount "$mount_dir" 2>/dev/null || fail 'umount of what is not mounted'
wait_end 0 30 || fail 'the daemon did not end'
wait "${daemon[0]}" || fail 'the daemon failed'
unset 'daemon[0]'

echo '== a read-only mount shows everything and changes nothing'
before=$(sha256sum <"$pool")
mount_copy 0 ro
[ "$(cat "$mount_dir/file")" = data ] || fail 'lost a file'
! (echo x >"$mount_dir/new") 2>/dev/null || fail 'wrote to a read-only mount'
unmount_copy 0
[ "$before" = "$(sha256sum <"$pool")" ] || fail 'a read-only mount changed the pool'

echo '== mount(8) and fstab, as mirdax and as fuse.mirdax'
# In a mount namespace of its own, where mount(8) finds the helpers of this build.
mkdir "$set_dir/upper" "$set_dir/work"
export pool mount_dir set_dir
unshare --mount bash -euo pipefail <<'NAMESPACE' || fail 'mount(8)'
if ! mount -t overlay -o "lowerdir=/usr/sbin,upperdir=$set_dir/upper,workdir=$set_dir/work" \
  overlay /usr/sbin 2>/dev/null; then
  echo '   (no overlay filesystem to install helpers in: skipped)'
  exit 0
fi
for type in mirdax fuse.mirdax; do
  ln -sf "$MIRDAX_BIN/mount.mirdax" "/usr/sbin/mount.$type"
  mount -t $type -o nofail,x-test "$pool" "$mount_dir"
  [ "$(cat "$mount_dir/file")" = data ]
  findmnt -n -o FSTYPE,SOURCE "$mount_dir" | grep -q "^fuse.mirdax *$pool"
  umount "$mount_dir"
  for ((i = 0; i < 500; i++)); do # the lock goes with the daemon
    flock --nonblock "$pool" true && break
    sleep 0.02
  done
done
NAMESPACE

echo '== -o suid,dev and noexec reach the kernel'
mount_copy 0 suid,dev,noexec
grep " $mount_dir " /proc/self/mountinfo | grep -q ' rw,noexec' ||
  fail "the mount table says: $(grep "$mount_dir" /proc/self/mountinfo)"
unmount_copy 0

echo '== what makes no sense is refused, with a reason and the exit code of mount(8)'
fails_with 1 'unknown option' mount.mirdax "$pool" "$mount_dir" -o frobnicate
fails_with 1 'HOST:PORT' mount.mirdax "$pool" "$mount_dir" -o mirror=nonsense
fails_with 1 'POOL' mount.mirdax
fails_with 32 'No such file' mount.mirdax "$pool" "$set_dir/nowhere"
fails_with 32 'not a directory' mount.mirdax "$pool" "$pool"
fails_with 32 'nothing.pool: ' mount.mirdax "$set_dir/nothing.pool" "$mount_dir"
head -c 1M /dev/urandom >"$set_dir/random.pool"
fails_with 32 'random.pool: ' mount.mirdax "$set_dir/random.pool" "$mount_dir"
fails_with 32 'random.pool: ' mount.mirdax "$set_dir/random.pool" "$mount_dir" -f
! is_mounted "$mount_dir" || fail 'something is mounted'
