#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# conformance.sh PJDFSTEST_CHECKOUT|FSX_PROGRAM [MOUNT_OPTIONS]: runs a public conformance suite on a
# mount with a mirror. The suites are not part of this tree; docs/TESTING.md says where to find them and what to
# expect. A checkout of pjdfstest is built in a copy.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/set.sh"

suite=${1:?name a checkout of pjdfstest, or the fsx program}
readonly fsx_operations=200000
code=0

run_pjdfstest() {
  cp -r "$suite" "$scratch/suite"
  cd "$scratch/suite"
  run autoreconf -ifs
  run ./configure
  run make pjdfstest
  cd "$mount_dir"
  prove -r "$scratch/suite/tests" || code=$?
}

# Every operation it knows, mappings included; each read is compared with what was written.
run_fsx() {
  local seed
  for seed in 1 2; do
    "$suite" -q -N $fsx_operations -S $seed -l 3000000 -P "$scratch" "$mount_dir/fsx" || code=$?
    "$suite" -q -N $((fsx_operations / 10)) -S $seed -l 300000 -r 512 -w 512 -Z -P "$scratch" \
      "$mount_dir/fsx.direct" || code=$?
  done
}

new_set 1 1G
make_scratch scratch 64
chmod 711 "$scratch"
start_mirror 1
mount_copy 0 "suid,dev${2:+,$2}" 1
if [ -d "$suite/tests" ] && [ -e "$suite/configure.ac" ]; then
  run_pjdfstest
elif [ -f "$suite" ] && [ -x "$suite" ]; then
  run_fsx
else
  fail "$suite is neither a checkout of pjdfstest nor the fsx program"
fi
cd /
unmount_copy 0
terminate 1
fsck_clean 0
fsck_clean 1
exit $code
