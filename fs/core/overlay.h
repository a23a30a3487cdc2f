// SPDX-License-Identifier: BSD-2-Clause
// DRAM copies of metadata blocks: what the running transaction changed, and what closed ones have
// not brought home yet.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/core/journal_writer.h"
#include "fs/core/meta_buffer.h"
#include "fs/core/transaction.h"

namespace mirdax {

// Invariants:
//  O1 (I2) a block is here from its first change until no patch of it is on its way home and
//     nothing in it is dirty. So a reader that finds no copy may read the pool in place.
//  O2 the copy is the newest state; what Close() put into a record is a snapshot of it.
//  O3 bytes of a copy are changed by the guard's holder only, never by a commit.
//
// Errors:  Read() and Modify() as MetaReader says.
// Threads: every method by any, but Close() and Release() by the commit leader, and Close() while
//          nobody holds a Tx. Locks: one shard at a time, a leaf.
class Overlay {
 public:
  Overlay(Region& region, const Geometry& geometry) : region_(region), geometry_(geometry) {}

  Result<BlockView> Read(BlockNo block, BlockKind kind);
  Result<std::byte*> Modify(BlockNo block, BlockKind kind, uint64_t offset, uint64_t length);
  std::byte* Create(BlockNo block, BlockKind kind);
  void Forget(BlockNo block);

  // Lines that Close() would put into a record now.
  uint64_t dirty_lines() const noexcept { return dirty_lines_.load(std::memory_order_relaxed); }

  using Blocks = std::vector<std::shared_ptr<MetaBuffer>>;
  // The blocks that Close() will look at, by position.
  Blocks Listed();
  // Puts the dirty lines into `record`, checksums included; `blocks`, which Listed() has returned,
  // become those concerned, now clean and in flight. Needs no memory.
  // REQUIRES: record.Reserve(dirty_lines()).
  void Close(Blocks& blocks, RecordBuilder& record);
  // The patches of `blocks` are stored at home: copies that nobody changed again go.
  void Release(const Blocks& blocks);

 private:
  static constexpr size_t kShards = 16;
  struct alignas(kLineSize) Shard {
    Mutex mutex;
    std::unordered_map<BlockNo, std::shared_ptr<MetaBuffer>> blocks MIRDAX_GUARDED_BY(mutex);
    Blocks dirty MIRDAX_GUARDED_BY(mutex);
  };

  Shard& ShardOf(BlockNo block) noexcept;
  // The bytes in the pool, checked.
  Result<const std::byte*> ReadHome(BlockNo block, BlockKind kind);
  void MarkDirty(Shard& shard, const std::shared_ptr<MetaBuffer>& buffer, uint64_t lines)
      MIRDAX_REQUIRES(shard.mutex);
  static void AddTo(RecordBuilder& record, const MetaBuffer& buffer);

  Region& region_;
  const Geometry& geometry_;
  std::atomic<uint64_t> dirty_lines_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace mirdax
