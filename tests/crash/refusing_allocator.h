// SPDX-License-Identifier: BSD-2-Clause
// An allocator that says "no space" when a fault strikes.
#pragma once

#include <memory>
#include <utility>

#include "fs/core/allocator.h"
#include "tests/crash/faults.h"

namespace mirdax::crash {

// Each block run and each inode asked for is a chance. What is given out, and all else, is the real
// allocator's.
//
// Threads: as Faults.
class RefusingAllocator final : public Allocator {
 public:
  RefusingAllocator(std::unique_ptr<Allocator> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}

  Result<BlockRun> Reserve(uint64_t count, BlockNo goal, SpaceUse use) override {
    if (faults_.Strikes(FaultKind::kSpace)) return Fail(ErrorCode::kNoSpace);
    return real_->Reserve(count, goal, use);
  }
  Result<Ino> AllocateInode(Tx& tx, Ino near) override {
    if (faults_.Strikes(FaultKind::kSpace)) return Fail(ErrorCode::kNoSpace);
    return real_->AllocateInode(tx, near);
  }
  void Unreserve(BlockRun run) override { real_->Unreserve(run); }
  Status Use(Tx& tx, BlockRun run) override { return real_->Use(tx, run); }
  Status Free(Tx& tx, BlockRun run) override { return real_->Free(tx, run); }
  Status FreeInode(Tx& tx, Ino ino) override { return real_->FreeInode(tx, ino); }
  Result<bool> IsInodeInUse(Ino ino) override { return real_->IsInodeInUse(ino); }
  Status Reclaim() override { return real_->Reclaim(); }
  SpaceStats stats() const override { return real_->stats(); }

 private:
  const std::unique_ptr<Allocator> real_;
  Faults& faults_;
};

}  // namespace mirdax::crash
