#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# conformance.sh DIR: builds a copy of the pjdfstest checkout in DIR and runs all of it on a mount.
# The suite is not part of this tree; docs/TESTING.md says where to find it and what to expect.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/set.sh"

suite=${1:?name a checkout of pjdfstest}
[ -d "$suite/tests" ] && [ -e "$suite/configure.ac" ] || fail "$suite is no checkout of pjdfstest"
new_set 1 1G
make_scratch scratch 64
chmod 711 "$scratch"
cp -r "$suite" "$scratch/suite"
cd "$scratch/suite"
run autoreconf -ifs
run ./configure
run make pjdfstest
start_mirror 1
mount_copy 0 suid,dev 1
mkdir "$mount_dir/work"
cd "$mount_dir/work"
prove -r "$scratch/suite/tests" || code=$?
cd /
unmount_copy 0
terminate 1
fsck_clean 0
fsck_clean 1
exit "${code:-0}"
