// SPDX-License-Identifier: BSD-2-Clause
// An engine on a pool in memory, with mirrors that do as they are told.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/core/recovery.h"
#include "fs/core/replay.h"
#include "fs/core/transaction_manager.h"
#include "fs/pmem/private_store.h"
#include "fs/pmem/recorder_region.h"
#include "tests/support/memory_pool.h"
#include "tests/unit/core/fake_sink.h"
#include "tests/unit/core/hooked_region.h"

namespace mirdax::test {

struct EngineOptions {
  uint64_t pool_size = kMinPoolSize;
  std::optional<uint64_t> journal_size = kMinJournalSize;
  // False: plain memory, whose stores take no lock, so that the thread sanitizer sees every race;
  // recorder() may not be called.
  bool record = true;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options = {}) {
    auto region = std::make_unique<HookedRegion>(
        options.record ? Recorder(RecorderRegion::Create(options.pool_size))
                       : MemoryPool::MakeRegion(options.pool_size));
    region_ = region.get();
    FormatOptions format;
    format.geometry.journal_size = options.journal_size;
    pool_ = MemoryPool::Create(std::move(region), format);
    Start();
  }

  // Opens what a power cut left. Fails the test when it cannot be recovered.
  explicit Engine(std::span<const std::byte> image) {
    auto region = std::make_unique<HookedRegion>(Recorder(RecorderRegion::Create(image)));
    region_ = region.get();
    auto pool = MemoryPool::Open(std::move(region));
    MIRDAX_CHECK(pool.has_value());
    pool_ = std::move(*pool);
    Start();
  }

  HookedRegion& region() { return *region_; }
  RecorderRegion& recorder() { return *recorder_; }
  const Geometry& geometry() const { return pool_->geometry(); }
  MemoryPool& pool() { return *pool_; }
  PrivateStore& private_store() { return *private_store_; }
  FakeSink& sink() { return sink_; }
  TransactionManager& transactions() { return *transactions_; }
  Allocator& allocator() { return *allocator_; }

  // Drops everything in DRAM and mounts what memory (not the medium) holds.
  void Restart() {
    allocator_.reset();
    transactions_.reset();
    private_store_.reset();
    Start();
  }

  BlockNo DataBlock(uint64_t index) const { return geometry().first_data_block() + index; }
  BlockNo InodeBlock(uint64_t index) const {
    return geometry().inode_table.offset / kBlockSize + index;
  }

  // One transaction that stores `value` at `offset` of an inode table block.
  TxId Store(BlockNo block, uint64_t offset, uint64_t value) {
    auto tx = transactions_->Begin(1);
    MIRDAX_CHECK(tx.has_value());
    auto bytes = tx->Modify(block, BlockKind::kInodes, offset, sizeof(value));
    MIRDAX_CHECK(bytes.has_value());
    std::memcpy(*bytes + offset, &value, sizeof(value));
    return tx->id();
  }
  uint64_t Load(BlockNo block, uint64_t offset) {
    auto view = transactions_->Read(block, BlockKind::kInodes);
    MIRDAX_CHECK(view.has_value());
    return view->As<uint64_t>(offset);
  }
  uint64_t LoadHome(BlockNo block, uint64_t offset) {
    return region_->As<uint64_t>(block * kBlockSize + offset);
  }
  Lsn CommitWord() { return region_->As<CommitLine>(kCommitLineOffset).commit; }

 private:
  std::unique_ptr<Region> Recorder(Result<std::unique_ptr<RecorderRegion>> made) {
    MIRDAX_CHECK(made.has_value());
    recorder_ = made->get();
    return std::move(*made);
  }

  void Start() {
    auto private_store = PrivateStore::Open(*region_);
    MIRDAX_CHECK(private_store.has_value());
    private_store_ = std::move(*private_store);
    const auto recovered = RecoverPool(*pool_, *private_store_);
    if (!recovered) ADD_FAILURE() << "recovery: " << recovered.error().message;
    MIRDAX_CHECK(recovered.has_value());
    auto transactions =
        TransactionManager::Start(*region_, pool_->geometry(), *private_store_, sink_);
    MIRDAX_CHECK(transactions.has_value());
    transactions_ = std::move(*transactions);
    auto allocator = Allocator::Open(*transactions_);
    MIRDAX_CHECK(allocator.has_value());
    allocator_ = std::move(*allocator);
  }

  FakeSink sink_;
  HookedRegion* region_ = nullptr;
  RecorderRegion* recorder_ = nullptr;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<PrivateStore> private_store_;
  std::unique_ptr<TransactionManager> transactions_;
  std::unique_ptr<Allocator> allocator_;
};

}  // namespace mirdax::test
