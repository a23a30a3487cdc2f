// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/syncer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <new>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"

namespace mirdax {
namespace {

// Unsynced bytes at which the commit interval ends early, and at which writers wait. The first is
// small enough that a push to a mirror takes a fraction of any sane timeout.
constexpr uint64_t kWakeBytes = uint64_t{8} << 20;
constexpr uint64_t kWaitBytes = uint64_t{64} << 20;
constexpr uint64_t kMinPendingExtents = 16;
constexpr uint64_t kMaxPendingExtents = 16384;
constexpr size_t kMaxDirtyInodes = 16384;

// One transaction maps at most this much, so that it touches few bitmap blocks.
constexpr uint64_t kBlocksPerStep = 2 * kBlocksPerGroup;
constexpr uint32_t kStoreCredits = kExtentCredits + kInodeCredits + 4;
// ... and so many extents: the paths to them in the tree are mostly the same.
constexpr uint64_t kExtentsPerStep = 8;
constexpr uint32_t kMoreCredits = kExtentCredits / 4;

}  // namespace

void Syncer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Syncer::Stop() {
  {
    MutexLock lock(wake_mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Syncer::Wake() {
  {
    MutexLock lock(wake_mutex_);
    woken_ = true;
  }
  wake_.NotifyAll();
}

void Syncer::Run() {
  bool reported = false;
  for (;;) {
    {
      MutexLock lock(wake_mutex_);
      const uint64_t until =
          volume_.clock.MonotonicNanoseconds() +
          static_cast<uint64_t>(std::chrono::nanoseconds(volume_.options.commit_interval).count());
      while (!stop_ && !woken_) {
        const uint64_t now = volume_.clock.MonotonicNanoseconds();
        if (now >= until || !wake_.WaitFor(wake_mutex_, std::chrono::nanoseconds(until - now))) {
          break;
        }
      }
      if (stop_) return;
      woken_ = false;
    }
    const Status status = [this]() -> Status {
      try {
        return Tick();
      } catch (const std::bad_alloc&) {  // what waits goes on waiting
        return Fail(ErrorCode::kNoMemory);
      }
    }();
    if (!status && !reported) {
      spdlog::error("the periodic commit failed: {} ({})", status.error().message,
                    ErrorCodeName(status.error().code));
    }
    reported = !status;
  }
}

Status Syncer::CheckStored(const PoolRange& range) const {
  if (Mutated(Mutant::kPoisonedStore)) return {};
  return volume_.region.CheckGood(range.offset, range.length);
}

Result<uint64_t> Syncer::StoreExtent(Tx& tx, Inode& inode, const PendingExtent& extent) {
  MIRDAX_TRY(CheckStored({extent.pool_block * kBlockSize, extent.length * kBlockSize}));
  Result<uint64_t> done;
  if (extent.kind == PendingKind::kReserved) {
    done = volume_.extents.Map(
        tx, inode.disk,
        Extent{extent.file_block, extent.pool_block, static_cast<uint32_t>(extent.length), 0});
  } else {
    done = volume_.extents.SetUnwritten(tx, inode.disk, extent.file_block, extent.end(), false);
  }
  if (!done) return Fail(done.error());
  const uint64_t blocks = *done - extent.file_block;
  if (extent.kind == PendingKind::kReserved) {
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.allocator->Use(tx, {extent.pool_block, blocks})));
  }
  tx.AddData({extent.pool_block * kBlockSize, blocks * kBlockSize});
  inode.pending.Take(extent.file_block, *done);
  return blocks;
}

Status Syncer::StoreStep(Inode& inode) {
  PendingAccount account(volume_, inode);
  const uint64_t most = std::min<uint64_t>(inode.pending.count(), kExtentsPerStep);
  const auto more = static_cast<uint32_t>(most - 1);
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kStoreCredits + more * kMoreCredits));
  uint64_t blocks = 0;
  Status stored;
  for (uint64_t i = 0; i < most && stored && blocks < kBlocksPerStep; ++i) {
    std::optional<PendingExtent> extent = inode.pending.FindAtOrAfter(0);
    if (!extent) break;
    extent->length = std::min(extent->length, kBlocksPerStep - blocks);
    const Result<uint64_t> done = StoreExtent(tx, inode, *extent);
    if (done) {
      blocks += *done;
    } else {
      stored = Fail(done.error());
    }
  }
  if (blocks == 0) return stored;
  // Everything below the first block that still waits is mapped or a hole.
  const std::optional<PendingExtent> rest = inode.pending.FindAtOrAfter(0);
  const uint64_t covered = rest ? rest->file_block * kBlockSize : inode.size;
  inode.disk.size = std::max(inode.disk.size, std::min(inode.size, covered));
  MIRDAX_TRY(volume_.WriteInode(tx, inode));
  return stored;
}

Status Syncer::StorePending(Inode& inode) {
  while (!inode.pending.empty()) MIRDAX_TRY(StoreStep(inode));
  return {};
}

Result<std::vector<PoolRange>> Syncer::DirtyPoolRanges(const Inode& inode) {
  std::vector<PoolRange> result;
  for (const ByteRange& range : inode.dirty.ranges()) {
    MIRDAX_TRY(ExtentTree::Walk(
        *volume_.transactions, inode.disk, range.begin / kBlockSize, BlocksFor(range.end),
        [&](const Mapping& mapping) {
          if (mapping.hole()) return true;
          const uint64_t start = mapping.file_block * kBlockSize;
          const uint64_t from = std::max(start, range.begin);
          const uint64_t to = std::min(start + mapping.length * kBlockSize, range.end);
          result.push_back({mapping.pool_block * kBlockSize + (from - start), to - from});
          return true;
        }));
  }
  return result;
}

Status Syncer::StoreDirty(Inode& inode) {
  if (inode.dirty.empty()) return {};
  PendingAccount account(volume_, inode);
  MIRDAX_ASSIGN(const std::vector<PoolRange> data, DirtyPoolRanges(inode));
  for (const PoolRange& range : data) MIRDAX_TRY(CheckStored(range));
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(0));
  if (!Mutated(Mutant::kDirtyForgotten))
    for (const PoolRange& range : data) tx.AddData(range);
  inode.last_transaction = tx.id();
  inode.dirty.Clear();
  return {};
}

Status Syncer::Store(Inode& inode, bool data_only) {
  if (inode.freed) return {};
  // In-place stores first: the size that comes with pending blocks may cover appended bytes of the
  // last mapped block, which must be durable by then (N2).
  MIRDAX_TRY(StoreDirty(inode));
  MIRDAX_TRY(StorePending(inode));
  const bool regular = IsRegular(inode.disk);
  const bool grown = regular && inode.disk.size != inode.size &&
                     !(data_only && Mutated(Mutant::kFdatasyncWithoutSize));
  if (grown || (inode.attributes_dirty && !data_only)) {
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kInodeCredits));
    if (regular) inode.disk.size = inode.size;
    MIRDAX_TRY(volume_.WriteInode(tx, inode));
  }
  if (!inode.attributes_dirty) volume_.cache.MarkClean(inode);
  return {};
}

Status Syncer::Sync(Ino ino, bool data_only) {
  if (volume_.options.read_only) return {};
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  TxId last = 0;
  const Status done = volume_.Retry([&]() -> Status {
    WriteLock lock(inode->mutex);
    Status stored = Store(*inode, data_only);
    last = inode->last_transaction;
    return stored;
  });
  MIRDAX_TRY(done);
  if (Mutated(Mutant::kSyncWithoutNames)) return volume_.transactions->Commit(last);
  if (Mutated(Mutant::kSyncOfCleanFile) && last == 0) return {};
  // Names changed earlier become durable with any sync.
  return volume_.transactions->Commit(std::max(last, volume_.transactions->stats().newest));
}

Status Syncer::SyncAll() {
  if (volume_.options.read_only) return {};
  Status first;
  for (const InodeRef& inode : volume_.cache.Dirty()) {
    const Status status = volume_.Retry([&]() -> Status {
      WriteLock lock(inode->mutex);
      return Store(*inode, false);
    });
    if (!status && first) first = status;
  }
  const Status committed = volume_.transactions->CommitAll();
  return first ? committed : first;
}

Status Syncer::Tick() {
  MIRDAX_ASSIGN(const MemoryReserve reserve, MemoryReserve::Open());
  MutexLock lock(tick_mutex_);
  if (before_tick_) before_tick_();
  const bool freed = volume_.freed.exchange(false);
  Status done = SyncAll();
  if (done && freed) done = volume_.transactions->Checkpoint(false);
  if (!done && freed) volume_.freed.store(true);
  return done;
}

Status Syncer::Throttle(Ino ino) {
  const uint64_t bytes = volume_.pending_bytes.load(std::memory_order_relaxed);
  const uint64_t extents = volume_.pending_extents.load(std::memory_order_relaxed);
  // The tree nodes that pending extents may need come out of the reserve for metadata.
  uint64_t max_extents = kMinPendingExtents;
  if (extents > kMinPendingExtents / 2) {
    max_extents = std::clamp<uint64_t>(volume_.allocator->stats().blocks_free / 4,
                                       kMinPendingExtents, kMaxPendingExtents);
  }
  if (bytes > kWaitBytes || extents > max_extents) return Sync(ino, true);
  if (bytes > kWakeBytes || extents > max_extents / 2 ||
      volume_.cache.dirty_count() > kMaxDirtyInodes) {
    if (volume_.options.background) Wake();
  }
  return {};
}

}  // namespace mirdax
