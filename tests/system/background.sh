#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Daemons in the background, with every path relative to where the command was typed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../support/set.sh"

new_set 1 64M # and goes to $set_dir

# The process that has a copy's pool open. Ended with the script, whatever happens.
daemon_of() { # COPY
  daemon[$1]=$(users_of "$set_dir/$1.pool" | awk '{ print $1; exit }')
  [ -n "${daemon[$1]}" ] || fail "nobody has copy $1 open"
}

# Neither is our child, so their exit codes are not ours to have.
ended() { # COPY
  wait_end "$1" 60 || fail "the daemon of copy $1 did not end"
  unset "daemon[$1]"
}

run mirdax-mirrord --daemon --pool 1.pool --listen 127.0.0.1:0 --key key --port-file port
daemon_of 1
run mount.mirdax 0.pool mnt -o "key=key,mirror=127.0.0.1:$(cat port)"
daemon_of 0
for copy in 0 1; do
  [ "$(readlink "/proc/${daemon[$copy]}/cwd")" = / ] || fail "copy $copy keeps a directory busy"
done
echo works >mnt/file
sync mnt/file
run mirdax status mnt
run mirdax status "127.0.0.1:$(cat port)" --key key
umount mnt
ended 0
kill -TERM "${daemon[1]}"
ended 1
fsck_clean 0
fsck_clean 1
