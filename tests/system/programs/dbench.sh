#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# dbench: a file server's load, four clients.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

begin
dbench -D "$mount_dir" -t 15 4 >"$scratch/dbench" 2>&1 || { tail -20 "$scratch/dbench"; fail dbench; }
tail -n 1 "$scratch/dbench"
dbench -D "$mount_dir" -t 5 -s 2 >"$scratch/dbench" 2>&1 ||
  { tail -20 "$scratch/dbench"; fail "dbench with synchronous files"; }
tail -n 1 "$scratch/dbench"
finish
