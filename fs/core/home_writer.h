// SPDX-License-Identifier: BSD-2-Clause
// Stores committed patches to home, now, and makes them durable, later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// A block that changes in every transaction (a bitmap, an inode table block) is flushed once a
// checkpoint and not once a commit: nothing depends on home being durable before the tail moves.
//
// Invariants:
//  H1 (I3) the tail may pass a record only after a Persist() that followed its Apply() succeeded.
//  H2 what a failed Persist() covered stays owed; the next one flushes all of it again.
//
// Threads: one at a time; Persist() flushes and drains by itself, whoever called Apply().
class HomeWriter {
 public:
  explicit HomeWriter(Region& region) : region_(region) {}

  // Takes the memory that Apply() needs for patches of `block`.
  void Expect(BlockNo block) { owed_.try_emplace(block, 0); }
  // REQUIRES: the patches belong to a committed record and were checked (ReadRecord's rules).
  void Apply(std::span<const Patch> patches, std::span<const std::byte> bytes);
  Status Persist();  // kIo
  size_t blocks_owed() const noexcept { return owed_.size(); }

 private:
  Region& region_;
  std::unordered_map<BlockNo, uint64_t> owed_;  // mask of lines stored and not yet durable
};

}  // namespace mirdax
