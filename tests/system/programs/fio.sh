#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# fio with verification: random writes through write(2), mappings and libaio, buffered and direct.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

begin
verify() { # NAME OPTION...
  local name=$1
  shift
  fio --name="$name" --directory="$mount_dir" --size=64M --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --randrepeat=1 --output="$scratch/$name" --verify_state_save=0 "$@" ||
    { cat "$scratch/$name" >&2; fail "fio $name"; }
  say_time "$name"
}
verify random --rw=randwrite --bsrange=512-64k --bs_unaligned=1 --ioengine=psync --fsync=64
verify mapped --rw=randwrite --bs=4k --ioengine=mmap --fsync=256
verify async --rw=randwrite --bs=16k --ioengine=libaio --iodepth=16 --direct=1
verify mixed --rw=randrw --bs=8k --ioengine=libaio --iodepth=8 --numjobs=2 --fdatasync=32
verify sync --rw=randwrite --bs=4k --size=8M --ioengine=psync --sync=1
finish
