// SPDX-License-Identifier: BSD-2-Clause
// Reads everything that a mounted volume shows, then changes and removes it: what a test of bad
// pools does to find out whether the engine survives them.
#pragma once

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fs/core/volume.h"

namespace mirdax::test {

// Threads: one.
class PoolWalk {
 public:
  explicit PoolWalk(Volume& volume) : volume_(volume) {}

  // Everything that can be read, each inode once.
  void Run();
  // Looks up to `most` names up, changes what is there in every way, and removes it.
  void Spoil(size_t most = SIZE_MAX);

  size_t inodes() const { return seen_.size(); }
  // What no volume may do, whatever its pool holds: a directory whose cookies do not ascend would
  // be read without end. Empty when all was well.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void ReadOne(Ino ino);
  void ReadNames(Ino dir);
  void SpoilFile(Ino ino);
  void SpoilDirectory(Ino dir, const std::string& name, Ino ino);

  Volume& volume_;
  std::vector<Ino> todo_;
  std::unordered_set<Ino> seen_;
  std::vector<std::pair<Ino, std::string>> names_;
  std::vector<std::string> violations_;
  uint64_t sum_ = 0;
};

}  // namespace mirdax::test
