#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A C++ build on the mount: configure, compile, link, run, and build again with nothing to do.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

begin
mkdir "$mount_dir/tree"
(cd "$top" && tar -c --exclude=./build --exclude=./.git --exclude=./mnt .) | tar -x -C "$mount_dir/tree"
cd "$mount_dir/tree"
run cmake -S . -B out -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBUILD_TESTING=OFF
say_time configured
run cmake --build out --target mkfs.mirdax
say_time built
run out/bin/mkfs.mirdax --version
[ "$(cmake --build out --target mkfs.mirdax | tail -n 1)" = 'ninja: no work to do.' ] ||
  fail "a second build finds something to do: times are not kept"
cd "$scratch"
finish
