// SPDX-License-Identifier: BSD-2-Clause
// The Allocator: groups of blocks and of inodes, the metadata reserve, the quarantine.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/core/bitmap_group.h"
#include "fs/core/transaction_manager.h"

namespace mirdax {

// Claims: a block is first claimed from a global count, then looked for in the groups. A group's
// count goes up before the global one and down after it, so a claim that was granted finds a block.
//
// Invariants:
//  A1 data claims leave reserve_ blocks to metadata.
//  A2 (R2) what Free(tx) and FreeInode(tx) gave back stays busy in its group until OnStable(tx).
class BitmapAllocator final : public Allocator {
 public:
  explicit BitmapAllocator(TransactionManager& transactions);
  ~BitmapAllocator() override;
  Status Load();

  Result<BlockRun> Reserve(uint64_t count, BlockNo goal, SpaceUse use) override;
  void Unreserve(BlockRun run) override;
  Status Use(Tx& tx, BlockRun run) override;
  Status Free(Tx& tx, BlockRun run) override;
  Result<Ino> AllocateInode(Tx& tx, Ino near) override;
  Status FreeInode(Tx& tx, Ino ino) override;
  Result<bool> IsInodeInUse(Ino ino) override;
  Status Reclaim() override;
  SpaceStats stats() const override;

 private:
  using Groups = std::vector<std::unique_ptr<BitmapGroup>>;
  struct Quarantined {
    TxId tx;
    BitmapGroup* group;
    BitRun run;
    bool inode;
  };

  uint32_t Claim(uint64_t count, SpaceUse use);
  // A run of at most `count` blocks that were claimed; length 0 if others were faster.
  Result<BlockRun> Find(uint32_t count, BlockNo goal);
  Result<BlockRun> TryGroup(size_t group, uint32_t count, std::optional<uint32_t> goal,
                            BitmapGroup::Fit fit);
  void Quarantine(TxId tx, BitmapGroup& group, BitRun run, bool inode)
      MIRDAX_EXCLUDES(quarantine_mutex_);
  void Release(TxId stable) MIRDAX_EXCLUDES(quarantine_mutex_);
  std::atomic<size_t>& HomeGroup() noexcept;

  TransactionManager& transactions_;
  const Geometry& geometry_;
  const uint64_t reserve_;  // blocks that only metadata may take
  Groups blocks_;
  Groups inodes_;

  std::atomic<uint64_t> free_blocks_{0};  // not claimed
  std::atomic<uint64_t> free_inodes_{0};
  std::atomic<uint64_t> quarantined_blocks_{0};
  std::atomic<uint64_t> quarantined_inodes_{0};
  // Where threads without a goal allocate, so that they meet in no group's lock.
  std::array<std::atomic<size_t>, 16> home_groups_{};

  Mutex quarantine_mutex_;
  std::deque<Quarantined> quarantine_ MIRDAX_GUARDED_BY(quarantine_mutex_);  // by tx
};

}  // namespace mirdax
