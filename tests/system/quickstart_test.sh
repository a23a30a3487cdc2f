#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ./quickstart works, works twice, leaves nothing behind, and --keep and --stop do what they say.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=$(mktemp -d /var/tmp/mirdax-test.XXXXXX)
trap '"$top/quickstart" --stop >/dev/null; rm -rf --one-file-system -- "$dir"' EXIT
mount_dir=$dir/mnt

fail() { echo "FAIL: $*" >&2; exit 1; }
# Counts mounts, daemons and pools of this test, by the mount directory and the pools' folder.
leftovers() {
  { grep -F " $mount_dir " /proc/self/mountinfo || true
    pgrep -af "mount.mirdax .* $mount_dir " || true; } | wc -l
}

for pass in 1 2; do
  "$top/quickstart" --size 256M "$mount_dir" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "pass $pass"; }
  grep -q 'emulated' "$dir/out" || fail "it does not say that persistent memory is emulated"
  [ "$(leftovers)" = 0 ] || fail "pass $pass left something behind"
  [ ! -e "$mount_dir" ] || fail "pass $pass left $mount_dir"
done
tail -n 8 "$dir/out"

"$top/quickstart" --keep --size 256M "$mount_dir" >"$dir/out" 2>&1 || { cat "$dir/out"; fail --keep; }
echo kept >"$mount_dir/file"
sync "$mount_dir/file"
"$top/build/release/bin/mirdax" status "$mount_dir" || fail "status of the kept set"
"$top/quickstart" --stop
[ "$(leftovers)" = 0 ] || fail "--stop left something behind"
"$top/quickstart" --stop | grep -q 'Nothing to stop' || fail "a second --stop should find nothing"
