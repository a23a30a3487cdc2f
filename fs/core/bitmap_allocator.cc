// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/bitmap_allocator.h"

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "fs/base/check.h"
#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr uint64_t kLeastReserve = 64;
constexpr uint64_t kMostReserve = 16384;
// How many groups are searched for a whole run before the best known shorter one is taken.
constexpr size_t kMostSearches = 16;

uint64_t ReserveFor(uint64_t data_blocks) {
  return std::min(std::clamp(data_blocks / 100, kLeastReserve, kMostReserve), data_blocks / 8);
}

// Splits [first, first + length), counted from bit 0 of group 0, at the borders of groups.
template <typename Visit>
Status ForEachGroup(uint64_t first, uint64_t length, const Visit& visit) {
  while (length > 0) {
    const uint64_t inside = first % kBlocksPerGroup;
    const uint64_t count = std::min(kBlocksPerGroup - inside, length);
    MIRDAX_TRY(visit(first / kBlocksPerGroup, BitRun{.start = static_cast<uint32_t>(inside),
                                                     .length = static_cast<uint32_t>(count)}));
    first += count;
    length -= count;
  }
  return {};
}

std::vector<std::unique_ptr<BitmapGroup>> MakeGroups(MetaReader& reader, const PoolRange& bitmap,
                                                     uint64_t first, uint64_t end) {
  std::vector<std::unique_ptr<BitmapGroup>> groups;
  for (uint64_t base = 0; base < end; base += kBlocksPerGroup) {
    const uint64_t bits = std::min(kBlocksPerGroup, end - base);
    groups.push_back(std::make_unique<BitmapGroup>(
        reader, bitmap.offset / kBlockSize + groups.size(),
        static_cast<uint32_t>(base == 0 ? first : 0), static_cast<uint32_t>(bits)));
  }
  return groups;
}

}  // namespace

Result<std::unique_ptr<Allocator>> Allocator::Open(TransactionManager& transactions) {
  auto allocator = std::make_unique<BitmapAllocator>(transactions);
  MIRDAX_TRY(allocator->Load());
  return allocator;
}

BitmapAllocator::BitmapAllocator(TransactionManager& transactions)
    : transactions_(transactions),
      geometry_(transactions.geometry()),
      reserve_(ReserveFor(geometry_.data_blocks)),
      blocks_(MakeGroups(transactions, geometry_.block_bitmap, 0, geometry_.data_blocks)),
      // Slot 0 is "none", and the root directory is never freed.
      inodes_(
          MakeGroups(transactions, geometry_.inode_bitmap, kRootIno + 1, geometry_.inode_count)) {
  for (size_t i = 0; i < home_groups_.size(); ++i) {
    home_groups_[i] = i * blocks_.size() / home_groups_.size();
  }
  transactions_.OnStable([this](TxId id) { Release(id); });
}

BitmapAllocator::~BitmapAllocator() { transactions_.OnStable(nullptr); }

Status BitmapAllocator::Load() {
  for (const auto& group : blocks_) {
    MIRDAX_TRY(group->Load());
    free_blocks_ += group->free();
  }
  for (const auto& group : inodes_) {
    MIRDAX_TRY(group->Load());
    free_inodes_ += group->free();
  }
  return {};
}

// --- blocks ---

uint32_t BitmapAllocator::Claim(uint64_t count, SpaceUse use) {
  const uint64_t kept = use == SpaceUse::kData ? reserve_ : 0;
  uint64_t free = free_blocks_.load(std::memory_order_relaxed);
  for (;;) {
    if (free <= kept) return 0;
    const uint64_t claimed = std::min({count, free - kept, kBlocksPerGroup});
    if (free_blocks_.compare_exchange_weak(free, free - claimed, std::memory_order_relaxed)) {
      return static_cast<uint32_t>(claimed);
    }
  }
}

Result<BlockRun> BitmapAllocator::Reserve(uint64_t count, BlockNo goal, SpaceUse use) {
  MIRDAX_CHECK(count > 0);
  const uint32_t claimed = Claim(count, use);
  if (claimed > 0) {
    Result<BlockRun> run = Find(claimed, goal);
    free_blocks_ += claimed - (run ? run->length : 0);
    if (!run || run->length > 0) return run;
  }
  if (quarantined_blocks_ > 0) {
    return Fail(ErrorCode::kBusy, "blocks freed lately are not yet reusable");
  }
  return Fail(ErrorCode::kNoSpace);
}

std::atomic<size_t>& BitmapAllocator::HomeGroup() noexcept {
  const size_t hash = std::hash<std::thread::id>{}(std::this_thread::get_id());
  return home_groups_[(hash * 0x9e3779b97f4a7c15U >> 32) % home_groups_.size()];
}

Result<BlockRun> BitmapAllocator::TryGroup(size_t group, uint32_t count,
                                           std::optional<uint32_t> goal, BitmapGroup::Fit fit) {
  MIRDAX_ASSIGN(const BitRun run, blocks_[group]->Reserve(count, goal, fit));
  return BlockRun{.start = geometry_.first_data_block() + group * kBlocksPerGroup + run.start,
                  .length = run.length};
}

Result<BlockRun> BitmapAllocator::Find(uint32_t count, BlockNo goal) {
  using Fit = BitmapGroup::Fit;
  std::atomic<size_t>& home = HomeGroup();
  size_t first = home.load(std::memory_order_relaxed);
  std::optional<uint32_t> goal_bit;
  const bool near = geometry_.IsDataRange(goal, 1);
  if (near) {
    const uint64_t bit = goal - geometry_.first_data_block();
    first = bit / kBlocksPerGroup;
    goal_bit = static_cast<uint32_t>(bit % kBlocksPerGroup);
  }
  MIRDAX_ASSIGN(BlockRun run, TryGroup(first, count, goal_bit, Fit::kWhole));
  if (run.length > 0) return run;

  size_t searches = 0;
  for (size_t i = 1; i < blocks_.size() && searches < kMostSearches; ++i) {
    const size_t group = (first + i) % blocks_.size();
    if (blocks_[group]->longest() < count) continue;
    ++searches;
    MIRDAX_ASSIGN(run, TryGroup(group, count, std::nullopt, Fit::kWhole));
    if (run.length == 0) continue;
    if (!near) home.store(group, std::memory_order_relaxed);
    return run;
  }
  // No whole run: the longest known. Each miss lowers its group's longest(), so this ends.
  for (size_t misses = 0; misses < 2 * blocks_.size(); ++misses) {
    size_t best = first;
    for (size_t i = 1; i < blocks_.size(); ++i) {
      const size_t group = (first + i) % blocks_.size();
      if (blocks_[group]->longest() > blocks_[best]->longest()) best = group;
    }
    MIRDAX_ASSIGN(run, TryGroup(best, count, std::nullopt, Fit::kAny));
    if (run.length > 0) return run;
  }
  return BlockRun{};
}

void BitmapAllocator::Unreserve(BlockRun run) {
  MIRDAX_CHECK(geometry_.IsDataRange(run.start, run.length));
  const Status done = ForEachGroup(run.start - geometry_.first_data_block(), run.length,
                                   [&](size_t group, BitRun bits) -> Status {
                                     blocks_[group]->Release(bits);
                                     return {};
                                   });
  MIRDAX_CHECK(done);
  free_blocks_ += run.length;
}

Status BitmapAllocator::Use(Tx& tx, BlockRun run) {
  if (Mutated(Mutant::kBitmapNotStored)) return {};
  MIRDAX_CHECK(geometry_.IsDataRange(run.start, run.length));
  return ForEachGroup(run.start - geometry_.first_data_block(), run.length,
                      [&](size_t group, BitRun bits) { return blocks_[group]->Use(tx, bits); });
}

Status BitmapAllocator::Free(Tx& tx, BlockRun run) {
  if (run.length == 0 || !geometry_.IsDataRange(run.start, run.length)) {
    return Fail(ErrorCode::kCorrupt, "blocks {}+{} are to be freed, but are not in the data area",
                run.start, run.length);
  }
  return ForEachGroup(run.start - geometry_.first_data_block(), run.length,
                      [&](size_t group, BitRun bits) -> Status {
                        MIRDAX_TRY(blocks_[group]->Free(tx, bits));
                        Quarantine(tx.id(), *blocks_[group], bits, false);
                        if (Mutated(Mutant::kReuseAtOnce)) Release(tx.id());
                        return {};
                      });
}

// --- inodes ---

Result<Ino> BitmapAllocator::AllocateInode(Tx& tx, Ino near) {
  const Ino goal = near < geometry_.inode_count ? near : kRootIno;
  const size_t first = goal / kBlocksPerGroup;
  for (size_t i = 0; i < inodes_.size(); ++i) {
    const size_t index = (first + i) % inodes_.size();
    BitmapGroup& group = *inodes_[index];
    if (group.free() == 0) continue;
    const auto bit = static_cast<uint32_t>(goal % kBlocksPerGroup);
    MIRDAX_ASSIGN(const BitRun run, group.Reserve(1, i == 0 ? std::optional(bit) : std::nullopt,
                                                  BitmapGroup::Fit::kAny));
    if (run.length == 0) continue;
    if (const Status used = group.Use(tx, run); !used) {
      group.Release(run);
      return Fail(used.error());
    }
    --free_inodes_;
    return index * kBlocksPerGroup + run.start;
  }
  if (quarantined_inodes_ > 0) {
    return Fail(ErrorCode::kBusy, "inodes freed lately are not yet reusable");
  }
  return Fail(ErrorCode::kNoSpace, "no free inode; a pool with more is made by mkfs.mirdax");
}

Status BitmapAllocator::FreeInode(Tx& tx, Ino ino) {
  if (ino <= kRootIno || ino >= geometry_.inode_count) {
    return Fail(ErrorCode::kCorrupt, "inode {} is to be freed, but cannot be", ino);
  }
  BitmapGroup& group = *inodes_[ino / kBlocksPerGroup];
  const BitRun run{.start = static_cast<uint32_t>(ino % kBlocksPerGroup), .length = 1};
  MIRDAX_TRY(group.Free(tx, run));
  Quarantine(tx.id(), group, run, true);
  return {};
}

Result<bool> BitmapAllocator::IsInodeInUse(Ino ino) {
  if (ino < kRootIno || ino >= geometry_.inode_count) return false;
  return inodes_[ino / kBlocksPerGroup]->IsUsed(static_cast<uint32_t>(ino % kBlocksPerGroup));
}

// --- quarantine ---

void BitmapAllocator::Quarantine(TxId tx, BitmapGroup& group, BitRun run, bool inode) {
  if (Mutated(Mutant::kQuarantineEndsEarly)) --tx;
  (inode ? quarantined_inodes_ : quarantined_blocks_) += run.length;
  MutexLock lock(quarantine_mutex_);
  if (!quarantine_.empty()) {
    // The blocks of a file come one after another.
    Quarantined& last = quarantine_.back();
    if (last.tx == tx && last.group == &group && last.inode == inode &&
        last.run.start + last.run.length == run.start) {
      last.run.length += run.length;
      return;
    }
  }
  quarantine_.push_back({.tx = tx, .group = &group, .run = run, .inode = inode});
}

void BitmapAllocator::Release(TxId stable) {
  for (;;) {
    Quarantined next{};
    {
      MutexLock lock(quarantine_mutex_);
      if (quarantine_.empty() || quarantine_.front().tx > stable) return;
      next = quarantine_.front();
      quarantine_.pop_front();
    }
    next.group->Release(next.run);
    // Up before down: who sees neither free nor quarantined blocks gives up.
    (next.inode ? free_inodes_ : free_blocks_) += next.run.length;
    (next.inode ? quarantined_inodes_ : quarantined_blocks_) -= next.run.length;
  }
}

Status BitmapAllocator::Reclaim() {
  if (quarantined_blocks_ == 0 && quarantined_inodes_ == 0) {
    // Another caller may have reclaimed between this one's attempt and its call.
    if (free_blocks_ > reserve_) return {};
    return Fail(ErrorCode::kNoSpace);
  }
  MIRDAX_TRY(transactions_.CommitAll());
  return transactions_.Checkpoint(true);
}

SpaceStats BitmapAllocator::stats() const {
  const uint64_t free = free_blocks_ + quarantined_blocks_;
  return {.blocks_total = geometry_.data_blocks,
          .blocks_free = free,
          .blocks_available = free > reserve_ ? free - reserve_ : 0,
          .inodes_total = geometry_.inode_count,
          .inodes_free = free_inodes_ + quarantined_inodes_};
}

}  // namespace mirdax
