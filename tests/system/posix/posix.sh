#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# posix.sh POSIX_TEST OPTIONS: runs the POSIX tests on a mount with these options; then the pool
# must be clean, and a second mount must show nothing that a test left behind.
set -euo pipefail
. "$(dirname "$0")/../../support/set.sh"

new_set 0 512M
mount_copy 0 "$2"
failed=0
MIRDAX_MOUNT=$mount_dir MIRDAX_OPTIONS=$2 timeout 240 "$1" --gtest_brief=1 || failed=1
unmount_copy 0
fsck_clean 0
mount_copy 0 ''
[ -z "$(ls -A "$mount_dir")" ] || fail "files that nobody should have left: $(ls -A "$mount_dir")"
unmount_copy 0
exit $failed
