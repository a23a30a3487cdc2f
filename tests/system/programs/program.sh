# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What every test of a real program shares: a mount with two mirrors to run it on, and afterwards
# the same tree, and a clean fsck, on each of the three copies.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
source "$top/tests/support/set.sh"

begin() { # [SIZE]
  new_set 2 "${1:-1G}"
  start_mirror 1
  start_mirror 2
  mount_copy 0 '' 1 2
  make_scratch scratch 256
  cd "$scratch" # some programs write where they stand
  say_time "set is mounted"
}

say_time() { echo "[${SECONDS} s] $*"; }

# Ends the set cleanly; then every mirror, promoted, must show exactly what the primary showed.
finish() { # [COPY that is mounted [MIRROR...]]
  local primary=${1:-0} mirrors=(1 2) copy
  [ $# -lt 1 ] || { shift; mirrors=("$@"); }
  manifest "$mount_dir" >"$scratch/manifest"
  unmount_copy "$primary"
  for copy in "${mirrors[@]}"; do terminate "$copy"; done
  for copy in "$primary" "${mirrors[@]}"; do fsck_clean "$copy"; done
  for copy in "${mirrors[@]}"; do
    promote "$copy"
    mount_copy "$copy" ro
    manifest "$mount_dir" | diff "$scratch/manifest" - >"$scratch/diff" ||
      { head -20 "$scratch/diff" >&2; fail "mirror $copy differs from the primary"; }
    unmount_copy "$copy"
  done
  say_time "$(wc -l <"$scratch/manifest") lines of manifest equal on all copies"
}
