#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Options, addresses, keys, pools and peers that make no sense: each gives a message that names the
# matter, and the documented exit code; no daemon dies of it (R9).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../support/set.sh"

new_set 1 64M
pool=$set_dir/0.pool mirror_pool=$set_dir/1.pool key=$set_dir/key
say() { echo "-- $*"; }

say "mkfs.mirdax"
fails_with 2 'POOL|required' mkfs.mirdax
fails_with 2 'no-such-option' mkfs.mirdax --no-such-option "$set_dir/x"
for size in abc -5 1Q 99999999999999999999G; do fails_with 2 '' mkfs.mirdax -s "$size" "$set_dir/x"; done
for size in 0 1M; do fails_with 1 "small" mkfs.mirdax -s $size "$set_dir/x"; done
fails_with 1 'no/such' mkfs.mirdax -s 64M "$set_dir/no/such/dir"
fails_with 1 'mirdax.*force|force.*mirdax' mkfs.mirdax "$pool"
run mkfs.ext4 -q -F "$set_dir/ext4" 64M
fails_with 1 ext4 mkfs.mirdax "$set_dir/ext4"
fails_with 1 '' mkfs.mirdax "$set_dir"
fails_with 2 'inodes.*abc.*not a number' mkfs.mirdax -N abc "$set_dir/x"

say "mount.mirdax"
fails_with 1 '' mount.mirdax
fails_with 1 'no_such' mount.mirdax "$pool" "$mount_dir" -f -o no_such=1
fails_with 1 'commit' mount.mirdax "$pool" "$mount_dir" -f -o commit=never
fails_with 1 'pm' mount.mirdax "$pool" "$mount_dir" -f -o pm=imaginary
mount_fails() { # PATTERN POOL DIR OPTIONS
  fails_with 32 "$1" mount.mirdax "$2" "$3" -f -o "$4"
  ! is_mounted "$mount_dir" || fail "mounted all the same"
}
mount_fails 'no-pool' "$set_dir/no-pool" "$mount_dir" no_auth
mount_fails 'no-dir' "$pool" "$set_dir/no-dir" no_auth
mount_fails 'not a mirdax pool|magic|superblock' "$set_dir/ext4" "$mount_dir" no_auth
mount_fails 'mirror' "$mirror_pool" "$mount_dir" no_auth
for address in nowhere :1 127.0.0.1:0 127.0.0.1:99999 127.0.0.1:http2 '[::1' ; do
  code=0
  timeout 60 mount.mirdax "$pool" "$mount_dir" -f -o "key=$key,mirror=$address" \
    >"$set_dir/run.log" 2>&1 || code=$?
  { [ $code = 1 ] || [ $code = 32 ]; } || { cat "$set_dir/run.log"; fail "exit code $code for mirror=$address"; }
  grep -qF -- "$address" "$set_dir/run.log" || { cat "$set_dir/run.log"; fail "the message does not name $address"; }
done
mount_fails '127.0.0.1' "$pool" "$mount_dir" "key=$key,mirror=127.0.0.1:$(free_port)"
mount_fails 'no-key' "$pool" "$mount_dir" "key=$set_dir/no-key,mirror=127.0.0.1:1"
install -m 644 "$key" "$set_dir/open-key"
mount_fails 'open-key' "$pool" "$mount_dir" "key=$set_dir/open-key,mirror=127.0.0.1:1"
(umask 077 && printf short >"$set_dir/short-key")
mount_fails 'short-key' "$pool" "$mount_dir" "key=$set_dir/short-key,mirror=127.0.0.1:1"

if [ "$(id -u)" = 0 ]; then
  install -m 600 -o 1000 "$key" "$set_dir/their-key"
  mount_fails 'their-key.*user 1000' "$pool" "$mount_dir" "key=$set_dir/their-key,mirror=127.0.0.1:1"
fi

say "closed descriptors, full outputs"
# What is opened next must not be where the output goes: a pool would get it.
(run mkfs.mirdax -q -s 64M "$set_dir/quiet"; exec 0<&- 1>&- 2>&-; mkfs.mirdax -f "$set_dir/quiet")
run fsck.mirdax "$set_dir/quiet"
(exec 0<&- 1>&- 2>&-; exec timeout 60 mount.mirdax "$set_dir/quiet" "$mount_dir") || fail "no mount without descriptors"
is_mounted "$mount_dir" || fail "mounted, and not to be seen"
for ((tries = 0; tries < 100; tries++)); do
  ! umount "$mount_dir" 2>/dev/null || break
  sleep 0.1
done
flock --wait 60 "$set_dir/quiet" true || fail "the daemon without descriptors does not end"
run fsck.mirdax "$set_dir/quiet"
to_full() { # CODE COMMAND...
  local want=$1 got=0
  shift
  "$@" >/dev/full 2>"$set_dir/run.log" || got=$?
  { [ $got = "$want" ] && grep -q 'No space left' "$set_dir/run.log"; } ||
    { cat "$set_dir/run.log" >&2; fail "exit code $got of $* whose output is lost"; }
}
to_full 1 dump.mirdax "$pool"
to_full 1 dump.mirdax --json "$pool" all
to_full 8 fsck.mirdax "$pool"
to_full 1 mirdax status "$pool"
to_full 1 mkfs.mirdax -n -s 64M "$set_dir/x"

say "damaged pools"
damaged() { cp --sparse=always "$pool" "$set_dir/damaged"; }
damaged; truncate -s 32M "$set_dir/damaged"
mount_fails 'damaged' "$set_dir/damaged" "$mount_dir" no_auth
damaged; truncate -s 100 "$set_dir/damaged"
mount_fails 'damaged' "$set_dir/damaged" "$mount_dir" no_auth
damaged; dd if=/dev/zero of="$set_dir/damaged" bs=8k count=1 conv=notrunc status=none
mount_fails 'damaged' "$set_dir/damaged" "$mount_dir" no_auth
damaged; dd if=/dev/urandom of="$set_dir/damaged" bs=16k count=1 conv=notrunc status=none
mount_fails 'damaged' "$set_dir/damaged" "$mount_dir" no_auth
damaged; : >"$set_dir/damaged"
mount_fails 'damaged' "$set_dir/damaged" "$mount_dir" no_auth
for command in 'dump.mirdax' 'mirdax promote' 'mirdax status'; do
  # shellcheck disable=SC2086
  fails_with 1 damaged $command "$set_dir/damaged"
done
fails_with 8 damaged fsck.mirdax "$set_dir/damaged"
damaged; truncate -s 32M "$set_dir/damaged"
for command in 'mirdax promote' 'mirdax status'; do
  # shellcheck disable=SC2086
  fails_with 1 'truncated.*another copy' $command "$set_dir/damaged"
  ! grep -q mkfs "$set_dir/run.log" || fail "advice that destroys what is left of the pool"
done
fails_with 4 'truncated.*filling this copy again' fsck.mirdax "$set_dir/damaged"
fails_with 16 '^fsck.mirdax: .*POOL' fsck.mirdax
fails_with 2 '^dump.mirdax: .*POOL' dump.mirdax
fails_with 2 'inode or dir' dump.mirdax "$pool" --path /a
fails_with 2 'NUMBER' dump.mirdax "$pool" dir 99999999999999999999
run fsck.mirdax -y "$pool"

say "mirdax-mirrord"
fails_with 2 '^mirdax-mirrord: .*--pool' mirdax-mirrord
fails_with 1 'no-pool' mirdax-mirrord --pool "$set_dir/no-pool" --listen 127.0.0.1:0 --key "$key"
fails_with 1 'primary' mirdax-mirrord --pool "$pool" --listen "127.0.0.1:$(free_port)" --key "$key"
fails_with 1 'key' mirdax-mirrord --pool "$mirror_pool" --listen "127.0.0.1:$(free_port)" --key "$set_dir/no-key"
fails_with 1 'fabric.*imaginary' mirdax-mirrord --pool "$mirror_pool" --key "$key" \
  --listen "127.0.0.1:$(free_port)" --fabric imaginary
taken=$(free_port)
start_daemon holder python3 -c 'import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)' "$taken"
wait_until 20 holder is_listening "$taken" || fail "nobody listens on port $taken"
for address in "127.0.0.1:$taken" 192.0.2.1:23999 no-such-host.invalid:23999; do # taken, foreign, unknown
  for how in '' --daemon; do
    # shellcheck disable=SC2086
    fails_with 1 "mirdax-mirrord: $address: .*; (choose|check)" \
      mirdax-mirrord --pool "$mirror_pool" --listen "$address" --key "$key" $how
  done
done
kill_now holder

say "mirdax"
fails_with 2 '^mirdax: .*status or promote' mirdax
fails_with 2 '^mirdax: .*status or promote' mirdax no-such-command
fails_with 2 '^mirdax: TARGET' mirdax status
fails_with 1 '' mirdax status "127.0.0.1:$(free_port)" --key "$key"
fails_with 1 'primary' mirdax promote "$pool"
fails_with 1 'force' mirdax promote "$mirror_pool" # blank: nothing to promote

say "peers that speak garbage to a mirror daemon"
start_mirror 1
for number in {1..20}; do
  { head -c $((RANDOM % 5000)) /dev/urandom >"/dev/tcp/127.0.0.1/${mirror_port[1]}"; } 2>/dev/null || true
done
printf 'GET / HTTP/1.1\r\n\r\n' >"/dev/tcp/127.0.0.1/${mirror_port[1]}"
: >"/dev/tcp/127.0.0.1/${mirror_port[1]}"
# Peers that connect, say nothing and stay: they must not keep a primary out.
exec 11<>"/dev/tcp/127.0.0.1/${mirror_port[1]}" 12<>"/dev/tcp/127.0.0.1/${mirror_port[1]}"
kill -0 "${daemon[1]}" || fail "the mirror daemon died"

say "another key"
(umask 077 && head -c 48 /dev/urandom | base64 >"$set_dir/other-key")
mount_fails 'key' "$pool" "$mount_dir" "key=$set_dir/other-key,mirror=127.0.0.1:${mirror_port[1]}"
fails_with 1 'key' mirdax status "127.0.0.1:${mirror_port[1]}" --key "$set_dir/other-key"
mount_fails 'auth|key' "$pool" "$mount_dir" "no_auth,mirror=127.0.0.1:${mirror_port[1]}"

say "a mirror that speaks garbage, falls silent, or hangs up"
for behaviour in garbage silence hangup; do
  rm -f "$set_dir/port"
  python3 "$here/fake_mirror.py" "$behaviour" "$set_dir/port" &
  daemon[fake]=$!
  wait_until 20 fake test -s "$set_dir/port" || fail "the fake mirror did not start"
  mount_fails '127.0.0.1' "$pool" "$mount_dir" "key=$key,mirror=127.0.0.1:$(cat "$set_dir/port")"
  kill_now fake
done

say "after all that the set still works"
mount_copy 0 '' 1
exec 11>&- 12>&-
echo works >"$mount_dir/file"
sync "$mount_dir/file"
run mirdax status "$mount_dir"
mkdir "$set_dir/x.mnt"
fails_with 1 'use|busy|lock' mkfs.mirdax --force "$pool"
fails_with 1 'use|busy|lock' mirdax promote "$mirror_pool"
fails_with 32 'use|busy|lock' mount.mirdax "$pool" "$set_dir/x.mnt" -f -o "key=$key"
unmount_copy 0
terminate 1
fsck_clean 0
fsck_clean 1
