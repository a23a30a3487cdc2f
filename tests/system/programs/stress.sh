#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# stress-ng's filesystem stressors, all at once for 60 s, with verification.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

readonly seconds=${1:-60}
begin 2G
stressors=()
known=$(stress-ng --help)
for name in access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl fiemap \
  filename flock fpunch fstat getdent hdd inode-flags io iomix link lockf lockofd mknod mmap \
  open readahead rename revio seek symlink sync-file touch utime xattr; do
  [[ $known != *"--$name N"* ]] || stressors+=("--$name" 1)
done
[ ${#stressors[@]} -ge 40 ] || fail "this stress-ng has few filesystem stressors: ${stressors[*]}"
mkdir "$mount_dir/stress"
stress-ng --temp-path "$mount_dir/stress" --timeout "$seconds" --verify --oom-avoid \
  --hdd-bytes 32m --iomix-bytes 32m --fallocate-bytes 32m --readahead-bytes 32m --seek-size 16m \
  --revio-bytes 16m --copy-file-bytes 128m --sync-file-bytes 16m --mmap-bytes 16m --mmap-file \
  "${stressors[@]}" >"$scratch/stress" 2>&1 ||
  { grep -vE 'dispatching|skipped|setting' "$scratch/stress" | tail -40; fail "stress-ng"; }
grep -E 'passed:|successful' "$scratch/stress" || true
finish
