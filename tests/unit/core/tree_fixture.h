// SPDX-License-Identifier: BSD-2-Clause
// What a test of the trees runs on: a pool in memory with a real engine, and an allocator that can
// be told to be full.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "fs/base/check.h"
#include "fs/core/allocator.h"
#include "fs/core/inode_table.h"
#include "fs/core/recovery.h"
#include "fs/core/transaction_manager.h"
#include "fs/format/node_views.h"
#include "fs/pmem/private_store.h"
#include "tests/support/memory_pool.h"

namespace mirdax::test {

// Passes everything on, but Reserve() fails with kNoSpace once `left` blocks were given out, and
// what is reserved and neither used nor given back is counted.
class LimitedAllocator final : public Allocator {
 public:
  explicit LimitedAllocator(Allocator& inner) : inner_(inner) {}

  Result<BlockRun> Reserve(uint64_t count, BlockNo goal, SpaceUse use) override {
    if (left == 0) return Fail(ErrorCode::kNoSpace);
    auto run = inner_.Reserve(std::min(count, left), goal, use);
    if (run) {
      left -= run->length;
      reserved += run->length;
    }
    return run;
  }
  void Unreserve(BlockRun run) override {
    reserved -= run.length;
    inner_.Unreserve(run);
  }
  Status Use(Tx& tx, BlockRun run) override {
    reserved -= run.length;
    used += run.length;
    return inner_.Use(tx, run);
  }
  Status Free(Tx& tx, BlockRun run) override {
    used -= run.length;
    return inner_.Free(tx, run);
  }
  Result<Ino> AllocateInode(Tx& tx, Ino near) override { return inner_.AllocateInode(tx, near); }
  Status FreeInode(Tx& tx, Ino ino) override { return inner_.FreeInode(tx, ino); }
  Result<bool> IsInodeInUse(Ino ino) override { return inner_.IsInodeInUse(ino); }
  Status Reclaim() override { return inner_.Reclaim(); }
  SpaceStats stats() const override { return inner_.stats(); }

  uint64_t left = std::numeric_limits<uint64_t>::max();
  uint64_t reserved = 0;
  uint64_t used = 0;

 private:
  Allocator& inner_;
};

class TreeFixture {
 public:
  explicit TreeFixture(uint64_t pool_size = uint64_t{512} << 20)
      : pool_(MemoryPool::Create(pool_size)) {
    Start();
  }

  TransactionManager& reader() { return *transactions_; }
  LimitedAllocator& allocator() { return *limited_; }
  InodeTable table() { return InodeTable(*transactions_); }
  const Geometry& geometry() const { return pool_->geometry(); }
  std::byte* home(BlockNo block) { return pool_->region().memory().data() + block * kBlockSize; }

  // Runs `operation` in one transaction.
  template <typename Operation>
  auto Do(const Operation& operation) {
    auto tx = transactions_->Begin(64);
    MIRDAX_CHECK(tx.has_value());
    return operation(*tx);
  }
  void Commit() { MIRDAX_CHECK(transactions_->CommitAll().has_value()); }
  // Blocks freed so far can be used again, and home has everything.
  void Checkpoint() {
    Commit();
    MIRDAX_CHECK(transactions_->Checkpoint(true).has_value());
  }

  // As a power cut after a commit would: everything in DRAM goes, the journal is replayed.
  void Reopen() {
    Commit();
    const uint64_t used = limited_->used;
    limited_.reset();
    allocator_.reset();
    transactions_.reset();
    private_store_.reset();
    Start();
    limited_->used = used;
  }

  InodeDisk NewInode(uint32_t mode) {
    InodeDisk inode{};
    Do([&](Tx& tx) {
      auto ino = allocator().AllocateInode(tx, kRootIno);
      MIRDAX_CHECK(ino.has_value());
      inode.magic = kInodeMagic;
      inode.ino = *ino;
      inode.mode = mode;
      inode.nlink = 1;
      MIRDAX_CHECK(table().Write(tx, inode).has_value());
    });
    return inode;
  }
  void Write(const InodeDisk& inode) {
    Do([&](Tx& tx) { MIRDAX_CHECK(table().Write(tx, inode).has_value()); });
  }

 private:
  void Start() {
    auto private_store = PrivateStore::Open(pool_->region());
    MIRDAX_CHECK(private_store.has_value());
    private_store_ = std::move(*private_store);
    MIRDAX_CHECK(RecoverPool(*pool_, *private_store_).has_value());
    auto transactions =
        TransactionManager::Start(pool_->region(), pool_->geometry(), *private_store_, sink_);
    MIRDAX_CHECK(transactions.has_value());
    transactions_ = std::move(*transactions);
    auto allocator = Allocator::Open(*transactions_);
    MIRDAX_CHECK(allocator.has_value());
    allocator_ = std::move(*allocator);
    limited_ = std::make_unique<LimitedAllocator>(*allocator_);
  }

  std::unique_ptr<MemoryPool> pool_;
  NoReplication sink_;
  std::unique_ptr<PrivateStore> private_store_;
  std::unique_ptr<TransactionManager> transactions_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<LimitedAllocator> limited_;
};

}  // namespace mirdax::test
