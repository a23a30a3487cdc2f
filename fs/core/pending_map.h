// SPDX-License-Identifier: BSD-2-Clause
// The blocks of one file that hold data no journal record speaks of yet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/format/layout.h"

namespace mirdax {

enum class PendingKind : uint8_t {
  kReserved,   // blocks reserved in the allocator; the tree has a hole here
  kUnwritten,  // the tree has an unwritten extent here, and these are its blocks
};

struct PendingExtent {
  uint64_t file_block = 0;
  BlockNo pool_block = 0;
  uint64_t length = 0;  // blocks
  PendingKind kind = PendingKind::kReserved;

  uint64_t end() const noexcept { return file_block + length; }
  friend bool operator==(const PendingExtent&, const PendingExtent&) = default;
};

// Invariant: extents do not overlap; neighbours that continue each other in file and pool, of one
// kind, are one extent.
//
// Threads: none of its own; guarded by the owner's lock.
class PendingMap {
 public:
  // REQUIRES: no block of `extent` is in the map.
  void Add(PendingExtent extent);
  // The extent that holds `file_block`, cut to begin there.
  std::optional<PendingExtent> Find(uint64_t file_block) const;
  // The first extent at or after `file_block`, or the one that holds it, cut to begin there.
  std::optional<PendingExtent> FindAtOrAfter(uint64_t file_block) const;
  // Takes the blocks of [begin, end) out and returns what was there.
  std::vector<PendingExtent> Take(uint64_t begin, uint64_t end);
  std::vector<PendingExtent> All() const;

  bool empty() const noexcept { return extents_.empty(); }
  size_t count() const noexcept { return extents_.size(); }
  uint64_t blocks() const noexcept { return blocks_; }
  uint64_t reserved_blocks() const noexcept { return reserved_blocks_; }

 private:
  void Count(const PendingExtent& extent) noexcept;
  void Uncount(const PendingExtent& extent) noexcept;

  std::map<uint64_t, PendingExtent> extents_;  // by file_block
  uint64_t blocks_ = 0;
  uint64_t reserved_blocks_ = 0;  // kReserved only
};

}  // namespace mirdax
