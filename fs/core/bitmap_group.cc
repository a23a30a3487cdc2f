// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/bitmap_group.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "fs/base/check.h"
#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr uint32_t kBitsPerWord = 64;
constexpr uint64_t kAllOnes = ~uint64_t{0};

// Calls visit(word index, mask of the run's bits in it) for each word of `run`.
template <typename Visit>
void ForEachWord(BitRun run, const Visit& visit) {
  uint32_t bit = run.start;
  const uint32_t end = run.start + run.length;
  while (bit < end) {
    const uint32_t inside = bit % kBitsPerWord;
    const uint32_t count = std::min(kBitsPerWord - inside, end - bit);
    visit(bit / kBitsPerWord, (kAllOnes >> (kBitsPerWord - count)) << inside);
    bit += count;
  }
}

uint64_t WordOffset(uint32_t bit) { return uint64_t{bit} / kBitsPerWord * sizeof(uint64_t); }

}  // namespace

Status BitmapGroup::Load() {
  MutexLock lock(mutex_);
  MIRDAX_ASSIGN(const BlockView view, reader_.Read(block_, BlockKind::kBitmap));
  const auto& used = view.As<Words>();
  uint32_t count = 0;
  ForEachWord({.start = first_, .length = end_ - first_}, [&](size_t word, uint64_t mask) {
    count += static_cast<uint32_t>(std::popcount(~used[word] & mask));
  });
  free_.store(count, std::memory_order_relaxed);
  longest_.store(count, std::memory_order_relaxed);
  hint_ = first_;
  return {};
}

uint64_t BitmapGroup::Taken(const Words& used, size_t word) const {
  return busy_ == nullptr ? used[word] : used[word] | (*busy_)[word];
}

uint32_t BitmapGroup::NextFree(const Words& used, uint32_t bit) const {
  while (bit < end_) {
    const uint64_t taken = Taken(used, bit / kBitsPerWord) >> (bit % kBitsPerWord);
    const auto skip = static_cast<uint32_t>(std::countr_one(taken));
    const uint32_t left = kBitsPerWord - bit % kBitsPerWord;
    if (skip < left) return std::min(bit + skip, end_);
    bit += left;
  }
  return end_;
}

uint32_t BitmapGroup::NextTaken(const Words& used, uint32_t bit, uint32_t limit) const {
  while (bit < limit) {
    const uint64_t taken = Taken(used, bit / kBitsPerWord) >> (bit % kBitsPerWord);
    const uint32_t left = kBitsPerWord - bit % kBitsPerWord;
    if (taken != 0) {
      return std::min(bit + static_cast<uint32_t>(std::countr_zero(taken)), limit);
    }
    bit += left;
  }
  return limit;
}

// The first run of `count` that starts in [from, last_start), else the longest of those.
BitRun BitmapGroup::Search(const Words& used, uint32_t from, uint32_t last_start,
                           uint32_t count) const {
  BitRun best;
  uint32_t bit = from;
  while (bit < last_start) {
    const uint32_t start = NextFree(used, bit);
    if (start >= last_start) break;
    const uint32_t limit = std::min(end_ - start, count) + start;
    const uint32_t end = NextTaken(used, start, limit);
    if (end - start > best.length) best = {.start = start, .length = end - start};
    if (best.length == count) break;
    bit = end;
  }
  return best;
}

Result<BitRun> BitmapGroup::Reserve(uint32_t count, std::optional<uint32_t> goal, Fit fit) {
  MutexLock lock(mutex_);
  if (free() == 0) return BitRun{};
  MIRDAX_ASSIGN(const BlockView view, reader_.Read(block_, BlockKind::kBitmap));
  const auto& used = view.As<Words>();
  const uint32_t from = std::clamp(goal.value_or(hint_), first_, end_);
  BitRun run;
  if (goal && from < end_ && NextFree(used, from) == from) {
    // Extends what lies before the goal: never one extent more than elsewhere.
    run.start = from;
    run.length = NextTaken(used, from, std::min(end_ - from, count) + from) - from;
  } else {
    run = Search(used, from, end_, count);
    if (run.length < count) {
      const BitRun before = Search(used, first_, from, count);
      if (before.length > run.length) run = before;
    }
    if (run.length < count) {
      longest_.store(run.length, std::memory_order_relaxed);
      if (fit == Fit::kWhole) return BitRun{};
    }
  }
  if (run.length == 0) return run;
  if (Mutated(Mutant::kFoundNotHeld)) {
    mutex_.unlock();
    mutex_.lock();
  }
  SetBusy(run);
  free_.fetch_sub(run.length, std::memory_order_relaxed);
  hint_ = run.start + run.length;
  return run;
}

void BitmapGroup::Release(BitRun run) {
  MutexLock lock(mutex_);
  CheckBusy(run);
  ClearBusy(run);
  const uint32_t now = free_.fetch_add(run.length, std::memory_order_relaxed) + run.length;
  longest_.store(now, std::memory_order_relaxed);  // may have joined its neighbours
}

Status BitmapGroup::Use(Tx& tx, BitRun run) {
  MutexLock lock(mutex_);
  CheckBusy(run);
  const uint64_t offset = WordOffset(run.start);
  MIRDAX_ASSIGN(std::byte * bytes,
                tx.Modify(block_, BlockKind::kBitmap, offset,
                          WordOffset(run.start + run.length - 1) + sizeof(uint64_t) - offset));
  auto& used = *reinterpret_cast<Words*>(bytes);
  ForEachWord(run, [&](size_t word, uint64_t mask) { used[word] |= mask; });
  ClearBusy(run);
  return {};
}

Status BitmapGroup::Free(Tx& tx, BitRun run) {
  MutexLock lock(mutex_);
  MIRDAX_CHECK(run.length > 0 && run.start + run.length <= end_);
  {
    MIRDAX_ASSIGN(const BlockView view, reader_.Read(block_, BlockKind::kBitmap));
    const auto& used = view.As<Words>();
    bool all = true;
    ForEachWord(run, [&](size_t word, uint64_t mask) { all = all && (used[word] & mask) == mask; });
    if (!all) {
      return Fail(ErrorCode::kCorrupt, "bitmap block {}: bits {}..{} are to be freed, not all used",
                  block_, run.start, run.start + run.length - 1);
    }
  }
  const uint64_t offset = WordOffset(run.start);
  MIRDAX_ASSIGN(std::byte * bytes,
                tx.Modify(block_, BlockKind::kBitmap, offset,
                          WordOffset(run.start + run.length - 1) + sizeof(uint64_t) - offset));
  auto& used = *reinterpret_cast<Words*>(bytes);
  ForEachWord(run, [&](size_t word, uint64_t mask) { used[word] &= ~mask; });
  SetBusy(run);
  return {};
}

Result<bool> BitmapGroup::IsUsed(uint32_t bit) {
  MutexLock lock(mutex_);
  MIRDAX_CHECK(bit < end_);
  MIRDAX_ASSIGN(const BlockView view, reader_.Read(block_, BlockKind::kBitmap));
  return (view.As<Words>()[bit / kBitsPerWord] >> (bit % kBitsPerWord) & 1) != 0;
}

void BitmapGroup::CheckBusy(BitRun run) const {
  MIRDAX_CHECK(run.length > 0 && run.start >= first_ && run.length <= end_ - run.start);
  MIRDAX_CHECK(busy_ != nullptr);
  const Words& busy = *busy_;
  ForEachWord(run, [&](size_t word, uint64_t mask) { MIRDAX_CHECK((busy[word] & mask) == mask); });
}

void BitmapGroup::SetBusy(BitRun run) {
  if (busy_ == nullptr) busy_ = std::make_unique<Words>();
  Words& busy = *busy_;
  ForEachWord(run, [&](size_t word, uint64_t mask) { busy[word] |= mask; });
  busy_count_ += run.length;
}

void BitmapGroup::ClearBusy(BitRun run) {
  Words& busy = *busy_;
  ForEachWord(run, [&](size_t word, uint64_t mask) { busy[word] &= ~mask; });
  busy_count_ -= run.length;
  if (busy_count_ == 0) busy_.reset();
}

}  // namespace mirdax
