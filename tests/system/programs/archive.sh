#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# tar and rsync -aHAX: a tree with every kind of file and attribute comes back as it went in.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# Times are compared to the nanosecond; by default rsync is content with the second.
rsync=(rsync -aHAX --numeric-ids --modify-window=-1)

make_tree() { # DIR
  mkdir "$1"
  (cd "$1"
  cp -r "$top/fs" code
  mkdir -p deep/{1..20}/x "name with
newline and spaces"
  head -c 3000000 /dev/urandom >random
  truncate -s 1M sparse
  printf middle | dd of=sparse bs=1 seek=500000 conv=notrunc status=none
  : >empty
  ln random hardlink1
  ln random deep/1/hardlink2
  ln -s "$(printf 'long%.0s' {1..200})" longlink
  ln -s random shortlink
  mkfifo fifo
  mknod character c 1 3
  mknod block b 7 0
  chmod 4755 code/base/error.cc
  chmod 2775 code/base
  chmod 1777 deep
  chmod 0 code/base/clock.cc
  chown 12345:54321 random
  chown -h 777:778 shortlink
  touch -d '1965-03-04 05:06:07.123456789 UTC' empty
  touch -d '2105-03-04 05:06:07.987654321 UTC' sparse
  touch -h -d '2001-01-01 00:00:00.5 UTC' longlink
  setfattr -n user.small -v x random
  setfattr -n user.large -v "$(head -c 1200 /dev/zero | tr '\0' v)" random
  setfattr -n user.empty empty
  setfattr -n trusted.mirdax.test -v 1 deep
  setfacl -m u:1000:rw,g:1001:r random
  setfacl -m u:1000:rwx -m d:u:1000:rx deep
  touch "$(printf 'n%.0s' {1..255})"
  touch -d '2020-02-02 02:02:02.2 UTC' deep .)
}

same_tree() { # DIR DIR
  diff <(manifest "$1") <(manifest "$2") >"$scratch/diff" ||
    { head -20 "$scratch/diff" >&2; fail "$2 differs from $1"; }
  diff <(getfacl -R -n -p "$1" | sed "s,$1,," | sort) \
    <(getfacl -R -n -p "$2" | sed "s,$2,," | sort) >"$scratch/diff" ||
    { head -20 "$scratch/diff" >&2; fail "ACLs of $2 differ from $1"; }
}

begin
source_dir=$(mktemp -d /var/tmp/mirdax-test.XXXXXX) # on disk: tmpfs lacks user attributes
scratch_dirs+=("$source_dir")
make_tree "$source_dir/tree"
"${rsync[@]}" "$source_dir/tree/" "$mount_dir/rsync"
same_tree "$source_dir/tree" "$mount_dir/rsync"
changes=$("${rsync[@]}" -n --checksum --delete --itemize-changes \
  "$source_dir/tree/" "$mount_dir/rsync")
[ -z "$changes" ] || fail "rsync would change: $changes"
say_time "rsync onto the mount"

tar -C "$mount_dir/rsync" --xattrs --xattrs-include='*' --acls --numeric-owner -cf "$mount_dir/t.tar" .
mkdir "$mount_dir/tar"
tar -C "$mount_dir/tar" --xattrs --xattrs-include='*' --acls --numeric-owner --same-owner -xpf "$mount_dir/t.tar"
same_tree "$source_dir/tree" "$mount_dir/tar"
say_time "tar from and to the mount"

"${rsync[@]}" "$mount_dir/tar/" "$source_dir/back"
same_tree "$source_dir/tree" "$source_dir/back"
say_time "rsync back"
finish
