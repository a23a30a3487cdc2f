#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Fuzzes one target, from the corpus of the tree: run.sh PROGRAM [SECONDS].
# Findings stay in MIRDAX_FUZZ_FINDINGS (default build/fuzz-findings); what was learned goes away.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$1
seconds=${2:-${MIRDAX_FUZZ_SECONDS:-30}}
target=$(basename "$program")
target=${target#fuzz_}
findings=${MIRDAX_FUZZ_FINDINGS:-$here/../../build/fuzz-findings}/$target
mkdir -p "$findings"
learned=$(mktemp -d /tmp/mirdax-fuzz-XXXXXX)
trap 'rm -rf "$learned"' EXIT

seeds=("$here/corpus/$target")
[ ! -d "$here/regressions/$target" ] || seeds+=("$here/regressions/$target")
# A library behind libfabric else takes the signals first, and leaves a file in the working directory.
export IPATH_NO_BACKTRACE=1 HFI_NO_BACKTRACE=1
dictionary=()
[ ! -f "$here/$target.dict" ] || dictionary=(-dict="$here/$target.dict")
if ! "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2560 -malloc_limit_mb=512 \
  -max_len=8192 -len_control=20 -print_final_stats=1 -artifact_prefix="$findings/" \
  "${dictionary[@]}" "$learned" "${seeds[@]}" \
  >"$learned.log" 2>&1; then
  tail -n 60 "$learned.log"
  input=$(sed -n 's/.*Test unit written to //p' "$learned.log" | tail -n 1)
  echo "to repeat exactly this case: $program ${input:-(no input was written)}"
  rm -f "$learned.log"
  exit 1
fi
grep -E '^#[0-9]+.*DONE|^stat::(number_of_executed_units|average_exec)' "$learned.log"
rm -f "$learned.log"
