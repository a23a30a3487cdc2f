#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A full filesystem: ENOSPC by data and by inodes, deletes work, space comes back, fsck is clean.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/set.sh"

free_blocks() { stat -f -c %f "$mount_dir"; }
free_inodes() { stat -f -c %d "$mount_dir"; }

# Writes until it fails; the failure must be ENOSPC. Many sizes, so that every allocation path ends.
fill_data() { # DIR
  mkdir "$1"
  local number=0 output
  while output=$(head -c $(((number * 7919) % 3000000 + 1)) /dev/zero | tr '\0' x 2>&1 \
    >"$1/$number" && sync "$1/$number" 2>&1); do
    number=$((number + 1))
    [ $number -lt 5000 ] || fail "the pool never gets full"
  done
  echo "$output" | grep -q 'No space left' || fail "not ENOSPC but: $output"
  # What still fits: files of one block.
  for ((number = 0; number < 200000; number++)); do
    echo full 2>/dev/null >"$1/small.$number" || break
  done
  sync -f "$1" || true
}

fill_inodes() { # DIR
  mkdir "$1"
  local output
  output=$("$MIRDAX_BIN/many_files" create "$1" 1000000 2>&1) &&
    fail "the pool has more than 1000000 inodes"
  echo "$output" | grep -q 'No space left' || fail "not ENOSPC but: $output"
}

new_set 1 96M
start_mirror 1
mount_copy 0 commit=1 1
blocks=$(free_blocks) inodes=$(free_inodes)
for pass in 1 2; do
  fill_data "$mount_dir/data"
  echo "pass $pass: $(free_blocks) of $blocks blocks are free when writes fail"
  [ "$(free_blocks)" -lt $((blocks / 20)) ] || fail "ENOSPC although a twentieth is free"
  # Overwriting, truncating and deleting go on.
  dd if=/dev/urandom of="$mount_dir/data/0" bs=1 count=1 conv=notrunc,fsync status=none
  find "$mount_dir/data" -name '*7' -delete
  truncate -s 0 "$mount_dir/data/1"
  rm -r "$mount_dir/data"
  sync -f "$mount_dir"

  fill_inodes "$mount_dir/inodes"
  echo "pass $pass: $(free_inodes) of $inodes inodes are free when creating fails"
  [ "$(free_inodes)" -lt $((inodes / 20)) ] || [ "$(free_blocks)" -lt $((blocks / 20)) ] ||
    fail "ENOSPC although inodes and blocks are free"
  rm -r "$mount_dir/inodes"
  sync -f "$mount_dir"
done

# Freed blocks are quarantined until every copy applied their record (R2): give that a moment.
deadline=$((SECONDS + 30))
until [ "$(free_blocks)" -ge $((blocks - 64)) ] && [ "$(free_inodes)" = "$inodes" ]; do
  [ $SECONDS -lt $deadline ] ||
    fail "space is lost: $(free_blocks) of $blocks blocks, $(free_inodes) of $inodes inodes are free"
  sleep 0.5
  touch "$mount_dir/tick"
  rm "$mount_dir/tick"
done
unmount_copy 0
terminate 1
fsck_clean 0
fsck_clean 1
