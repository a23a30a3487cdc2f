# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# A set of mirdax copies for shell tests and benchmarks: pools, mirror daemons, a mount.
# Source it, then call new_set; whatever it started is ended, and its files deleted, when the
# script exits, however it does.
#
# Copies are numbered: 0 is the pool formatted as primary, 1... are mirrors. Copy N has the pool
# $set_dir/N.pool. A daemon of copy N logs to $set_dir/N.log.
#
# Environment: MIRDAX_BIN, the folder of the programs.

: "${MIRDAX_BIN:?set it to the folder of the mirdax programs}"
MIRDAX_BIN=$(realpath -- "$MIRDAX_BIN")
PATH=$MIRDAX_BIN:/usr/sbin:/sbin:$PATH

set_dir='' mount_dir='' pool_size=1G pm_mode=direct pm_seed=1
declare -A daemon=() mirror_port=() # copy -> process id; copy -> port
scratch_dirs=()
other_mounts=() # directories that a script mounts something on itself: unmounted at exit

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# A directory in memory where there is room, else on disk. Deleted at exit.
make_scratch() { # VARIABLE NEEDED_MIB
  local base=/var/tmp available path
  available=$(df --output=avail -m /dev/shm 2>/dev/null | tail -n 1)
  [ "${available:-0}" -lt "$2" ] || base=/dev/shm
  path=$(mktemp -d "$base/mirdax-test.XXXXXX")
  scratch_dirs+=("$path")
  printf -v "$1" %s "$path"
}

# new_set MIRRORS [SIZE [MKFS_OPTION...]]: formats a primary and blank mirrors, with a key file. The
# script's directory is then $set_dir: what a program leaves where it runs disturbs nobody.
new_set() {
  local mirrors=$1 copy
  pool_size=${2:-1G}
  shift $(($# < 2 ? $# : 2))
  make_scratch set_dir $(($(numfmt --from=iec "$pool_size") / 1048576 * (mirrors + 1) * 2))
  mount_dir=$set_dir/mnt
  mkdir "$mount_dir"
  chmod 711 "$set_dir" # other users' programs run on the mount too
  (umask 077 && head -c 48 /dev/urandom | base64 >"$set_dir/key")
  run mkfs.mirdax -s "$pool_size" "$@" "$set_dir/0.pool"
  for ((copy = 1; copy <= mirrors; copy++)); do
    run mkfs.mirdax --mirror -s "$pool_size" "$set_dir/$copy.pool"
  done
  cd "$set_dir"
}

# Runs a command that must succeed; shows its output only when it does not.
run() {
  local code=0
  "$@" >"$set_dir/run.log" 2>&1 || code=$?
  [ $code = 0 ] || { cat "$set_dir/run.log" >&2; fail "$* (exit code $code)"; }
}

# fails_with CODE PATTERN COMMAND...: the command must end by itself with that code, and say why.
fails_with() {
  local want=$1 pattern=$2 got=0
  shift 2
  timeout 60 "$@" >"$set_dir/run.log" 2>&1 </dev/null || got=$?
  [ $got = "$want" ] ||
    { cat "$set_dir/run.log" >&2; fail "exit code $got instead of $want: $*"; }
  grep -qiE -- "$pattern" "$set_dir/run.log" ||
    { cat "$set_dir/run.log" >&2; fail "nothing about '$pattern' from: $*"; }
}

start_daemon() { # COPY COMMAND...
  local copy=$1
  shift
  "$@" >>"$set_dir/$copy.log" 2>&1 </dev/null &
  daemon[$copy]=$!
}

# wait_until SECONDS COPY COMMAND...: until the command succeeds while the copy's daemon lives.
wait_until() {
  local deadline=$((SECONDS + $1)) copy=$2
  shift 2
  until "$@"; do
    kill -0 "${daemon[$copy]}" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.02
  done
}

is_mounted() { awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo; }

is_listening() { # PORT, on any address
  awk -v port=":$(printf '%04X' "$1")" \
    '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
    /proc/net/tcp /proc/net/tcp6
}

free_port() {
  local port
  while :; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    is_listening $port || { echo $port; return; }
  done
}

start_mirror() { # COPY [OPTION...]
  local copy=$1 pm=()
  shift
  [ $pm_mode = direct ] || pm=(--pm "$pm_mode" --pm-seed "$pm_seed")
  [ -n "${mirror_port[$copy]:-}" ] || mirror_port[$copy]=$(free_port)
  start_daemon "$copy" mirdax-mirrord --pool "$set_dir/$copy.pool" \
    --listen "127.0.0.1:${mirror_port[$copy]}" --key "$set_dir/key" "${pm[@]}" "$@"
  wait_until 60 "$copy" is_listening "${mirror_port[$copy]}" || fail "mirror $copy did not start"
}

# mount_copy COPY OPTIONS [MIRROR...]: mounts it on $mount_dir; OPTIONS as after -o, may be empty.
mount_copy() {
  local copy=$1 options=key=$set_dir/key${2:+,$2} mirror
  shift 2
  [ $pm_mode = direct ] || options+=,pm=$pm_mode,pm_seed=$pm_seed
  for mirror in "$@"; do options+=,mirror=127.0.0.1:${mirror_port[$mirror]}; done
  start_daemon "$copy" mount.mirdax "$set_dir/$copy.pool" "$mount_dir" -f -o "$options"
  wait_until 120 "$copy" is_mounted "$mount_dir" || fail "copy $copy was not mounted"
}

# A daemon's end: by SIGTERM it must be clean, by SIGKILL it is a power cut (with pm_mode=shadow).
terminate() { # COPY
  local code=0
  kill -TERM "${daemon[$1]}" 2>/dev/null || true
  wait_end "$1" 60 || fail "the daemon of copy $1 did not end within 60 s of SIGTERM"
  wait "${daemon[$1]}" || code=$?
  unset "daemon[$1]"
  [ $code = 0 ] || fail "the daemon of copy $1 ended with code $code"
}

kill_now() { # COPY
  kill -KILL "${daemon[$1]}" 2>/dev/null || fail "the daemon of copy $1 had ended by itself"
  wait "${daemon[$1]}" 2>/dev/null || true
  unset "daemon[$1]"
}

wait_end() { # COPY SECONDS
  local deadline=$((SECONDS + $2))
  while kill -0 "${daemon[$1]}" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.02
  done
}

# The processes that have something of a directory open, and what each is doing. Asks /proc only: a
# daemon that hangs must not make this hang too.
users_of() { # DIR
  local process
  for process in /proc/[0-9]*; do
    readlink "$process"/{cwd,root,exe} "$process"/fd/* 2>/dev/null | grep -qF "$1" || continue
    echo "${process#/proc/} ($(tr '\0' ' ' <"$process/cmdline"), state" \
      "$(awk '/^State/ { print $2 }' "$process/status"), in $(cat "$process/wchan" 2>/dev/null));"
  done
}

# Unmounts cleanly, and waits for the end of the daemon, which must be clean too.
unmount_copy() { # COPY
  local code=0 tries
  # A program that has answered may still be on its way out.
  for ((tries = 0; tries < 100; tries++)); do
    ! umount "$mount_dir" 2>/dev/null || break
    sleep 0.1
  done
  ! is_mounted "$mount_dir" || fail "$(umount "$mount_dir" 2>&1) by: $(users_of "$mount_dir")"
  wait_end "$1" 60 || fail "the daemon of copy $1 did not end within 60 s of umount"
  wait "${daemon[$1]}" || code=$?
  unset "daemon[$1]"
  [ $code = 0 ] || fail "the daemon of copy $1 ended with code $code"
}

# What is left of a mount whose daemon was killed.
forget_mount() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    is_mounted "$mount_dir" || return 0
    umount -l "$mount_dir" 2>/dev/null || true
    sleep 0.02
  done
  fail "$mount_dir stays mounted"
}

promote() { run mirdax promote "$set_dir/$1.pool"; }

fsck_clean() { # COPY
  run fsck.mirdax "$set_dir/$1.pool"
}

# Everything a tree holds that a program could see, one line a file, to be compared.
manifest() { # DIR
  (cd "$1"
  # Size and link count of a directory are the filesystem's own business.
  find . -mindepth 1 -printf '%P\t%y\t%m\t%U:%G\t%l\t%T@' \
    \( -type d -printf '\n' -o -printf '\t%n\t%s\n' \) | sort
  find . -type f -print0 | sort -z | xargs -0 -r sha256sum
  getfattr -R -h -d -m - . 2>/dev/null |
    awk '/^# file: / { file = $0; next } NF { print file "\t" $0 }' | sort)
}

clean_set() {
  local status=$? copy path
  trap '' INT TERM
  if [ $status != 0 ] && [ -n "$set_dir" ]; then
    for path in "$set_dir"/[0-9]*.log; do
      [ ! -s "$path" ] || { echo "--- $(basename "$path")"; tail -n 15 "$path"; } >&2
    done
  fi
  [ -z "$mount_dir" ] || ! is_mounted "$mount_dir" || umount "$mount_dir" 2>/dev/null ||
    umount -l "$mount_dir" || true
  for path in "${other_mounts[@]}"; do ! is_mounted "$path" || umount -l "$path" || true; done
  for copy in "${!daemon[@]}"; do kill -KILL "${daemon[$copy]}" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [ -z "$mount_dir" ] || ! is_mounted "$mount_dir" || umount -l "$mount_dir" || true
  for path in "${scratch_dirs[@]}"; do rm -rf --one-file-system -- "$path"; done
  exit $status
}
trap clean_set EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
