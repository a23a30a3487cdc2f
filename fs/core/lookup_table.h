// SPDX-License-Identifier: BSD-2-Clause
// How often the kernel knows each inode: one counter for each slot of the inode table.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "fs/format/layout.h"

namespace mirdax {

// A table of its own, apart from the in-core inodes, because a million looked-up files must not
// cost a million in-core inodes: 8 bytes for each counted inode, in chunks made on first use.
//
// Threads: every method by any, without locks. Sequentially consistent, because "count it down to
//          zero, then look whether it is an orphan" and "make it an orphan, then look at its
//          count" must not both miss each other (see Reaper).
// Errors:  none; inode numbers beyond the table are the programmer's error (aborts).
class LookupTable {
 public:
  explicit LookupTable(uint64_t inode_count);
  ~LookupTable();
  LookupTable(const LookupTable&) = delete;
  LookupTable& operator=(const LookupTable&) = delete;

  void Add(Ino ino, uint64_t count);
  // Returns what is left. Never below zero, whatever a peer claims to forget.
  uint64_t Subtract(Ino ino, uint64_t count);
  uint64_t Count(Ino ino) const;

 private:
  static constexpr uint64_t kChunk = 4096;
  using Chunk = std::array<std::atomic<uint64_t>, kChunk>;

  uint64_t inode_count_;
  std::vector<std::atomic<Chunk*>> chunks_;
};

}  // namespace mirdax
