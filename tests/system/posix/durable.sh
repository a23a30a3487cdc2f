#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# durable.sh DURABLE_CALL OPTIONS: each call that promises durability has it when it returns: the
# power goes right after it, and what it stored is there.
set -euo pipefail
. "$(dirname "$0")/../../support/set.sh"

call=$1 options=$2,commit=300
pm_mode=shadow
new_set 0 256M
mount_copy 0 "$options"
"$call" prepare "$mount_dir"
for name in $("$call" list); do
  timeout 60 "$call" "$name" "$mount_dir" || fail "$name"
  kill_now 0
  forget_mount
  mount_copy 0 "$options"
  "$call" check "$name" "$mount_dir" || fail "$name"
  echo "$name: durable"
done
unmount_copy 0
fsck_clean 0
