#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The ledger: what was acknowledged is on every copy, whatever was killed; nothing else is there.
#   ledger.sh promote|remount|mirror-loss|primary-and-mirror [ROUNDS [FIRST_SEED]]
# Pools are in a shadow mode, so SIGKILL of a daemon is a power cut of its node: `shadow` loses all
# that was in flight, `shadow-half` a seeded half of it. A failed round says how to repeat it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/set.sh"

scenario=${1:?promote, remount, mirror-loss, mirror-returns or primary-and-mirror}
rounds=${2:-${MIRDAX_LEDGER_ROUNDS:-20}} first_seed=${3:-1}
readonly size=256M
ledger=$MIRDAX_BIN/ledger
make_scratch notes_dir 64

check_mounted() { # WHAT
  "$ledger" check "$mount_dir/ledger" "$notes_dir/notes" ||
    fail "$1 lost acknowledged records or shows bytes never written"
}

# Starts a writer on the mount, and returns when it has made its files.
start_writer() { # OPTION...
  rm -f "$notes_dir/notes"
  mkdir -p "$mount_dir/ledger"
  "$ledger" write "$mount_dir/ledger" "$notes_dir/notes" --seed "$seed" "$@" \
    >"$notes_dir/writer.log" 2>&1 &
  writer=$!
  local deadline=$((SECONDS + 60))
  until grep -q '^ready' "$notes_dir/notes" 2>/dev/null; do
    kill -0 $writer 2>/dev/null || { cat "$notes_dir/writer.log" >&2; fail "the writer ended"; }
    [ $SECONDS -lt $deadline ] || fail "the writer made no files in 60 s"
    sleep 0.02
  done
}

end_writer() {
  local deadline=$((SECONDS + 60)) code=0
  while kill -0 $writer 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || { kill -KILL $writer; fail "the writer hangs"; }
    sleep 0.02
  done
  wait $writer || code=$?
  [ $code = 0 ] || { cat "$notes_dir/writer.log" >&2; fail "the writer failed"; }
}

random_pause() { sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"; }

# Promotes a copy that lost its daemon, mounts it alone, checks it, and checks it once more offline.
check_promoted() { # COPY
  promote "$1"
  mount_copy "$1" ''
  check_mounted "mirror $1, promoted,"
  unmount_copy "$1"
  fsck_clean "$1"
}

# Ends a mirror's daemon: alternately by SIGTERM and by a power cut.
stop_mirror() { # COPY
  if (((seed + $1) % 2)); then terminate "$1"; else kill_now "$1"; fi
}

round_promote() {
  start_writer
  random_pause
  kill_now 0
  end_writer
  forget_mount
  stop_mirror 1
  stop_mirror 2
  check_promoted 1
  check_promoted 2
}

round_remount() {
  start_writer
  random_pause
  kill_now 0
  end_writer
  forget_mount
  mount_copy 0 '' 1 2
  check_mounted "the primary, remounted,"
  unmount_copy 0
  terminate 1
  terminate 2
  for copy in 0 1 2; do fsck_clean $copy; done
}

mirror_state() { # MIRROR: its state as the mount's status says
  mirdax status --json "$mount_dir" |
    jq -r --arg address "127.0.0.1:${mirror_port[$1]}" '.mirrors[] | select(.address == $address) | .state'
}

round_mirror_loss() {
  start_writer --seconds 4 --expect-no-failure
  random_pause
  kill_now 2
  end_writer
  [ "$(mirror_state 1)" = in-sync ] || fail "mirror 1 is '$(mirror_state 1)', not in-sync"
  [ "$(mirror_state 2)" = ejected ] || fail "mirror 2 is '$(mirror_state 2)' after its loss, not ejected"
  check_mounted "the mount"
  kill_now 0
  forget_mount
  stop_mirror 1
  check_promoted 1
}

# A mirror is lost, and its daemon started again, while the writer goes on: filled and in sync again, it
# holds all that was acknowledged, also what it missed.
round_mirror_returns() {
  start_writer
  random_pause
  kill_now 2
  random_pause
  start_mirror 2
  local deadline=$((SECONDS + 120))
  until [ "$(mirror_state 2)" = in-sync ]; do
    [ $SECONDS -lt $deadline ] || fail "mirror 2 is '$(mirror_state 2)' 120 s after its return"
    sleep 0.1
  done
  random_pause
  kill_now 0
  end_writer
  forget_mount
  stop_mirror 1
  stop_mirror 2
  check_promoted 2
  check_promoted 1
}

round_primary_and_mirror() {
  start_writer
  random_pause
  if ((seed % 2)); then kill_now 2; kill_now 0; else kill_now 0; kill_now 2; fi
  end_writer
  forget_mount
  stop_mirror 1
  check_promoted 1
}

case $scenario in
  promote | remount | mirror-loss | mirror-returns | primary-and-mirror) ;;
  *) echo "unknown scenario $scenario" >&2; exit 2 ;;
esac
total=0
for ((seed = first_seed; seed < first_seed + rounds; seed++)); do
  RANDOM=$seed
  pm_seed=$seed
  if ((seed % 2)); then pm_mode=shadow; else pm_mode=shadow-half; fi
  trap 'echo "repeat this round: tests/system/ledger.sh $scenario 1 $seed" >&2; clean_set' EXIT
  new_set 2 $size
  start_mirror 1
  start_mirror 2
  mount_copy 0 'mirror_timeout=10000' 1 2
  "round_${scenario//-/_}"
  acknowledged=$(($(wc -l <"$notes_dir/notes") - 1))
  total=$((total + acknowledged))
  echo "round $seed ($pm_mode): $acknowledged acknowledged"
  for copy in "${!daemon[@]}"; do terminate "$copy"; done
  rm -rf --one-file-system -- "$set_dir"
  mirror_port=()
done
trap clean_set EXIT
[ $total -gt 0 ] || fail "nothing was acknowledged in $rounds rounds"
echo "$rounds rounds, $total acknowledged records, none lost"
