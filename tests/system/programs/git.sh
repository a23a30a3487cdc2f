#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# git: clone of a local repository, many commits, branches and merges, gc, fsck.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost
export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null

begin
git init -q -b main "$scratch/source"
cp -r "$top/fs" "$top/docs" "$top/tests" "$scratch/source/"
(cd "$scratch/source" && git add -A && git commit -q -m 'first')

git clone -q --no-hardlinks "$scratch/source" "$mount_dir/clone"
cd "$mount_dir/clone"
git config gc.auto 0
for number in {1..60}; do
  if ((number % 10 == 1)); then git checkout -q -b "topic$number" main; fi
  echo "line $number" >>"notes.$number"
  echo "change $number" >>docs/ARCHITECTURE.md
  git add -A
  git commit -q -m "change $number"
  if ((number % 10 == 0)); then git checkout -q main; git merge -q -X theirs "topic$((number - 9))"; fi
done
git gc -q --prune=now
git fsck --full --strict
[ "$(git rev-list --count --no-merges main)" = 61 ] || fail "commits are missing"
[ -z "$(git status --porcelain)" ] || fail "the work tree is not clean"
cd /
git clone -q "$mount_dir/clone" "$scratch/back"
say_time "61 commits, gc and fsck"
finish
