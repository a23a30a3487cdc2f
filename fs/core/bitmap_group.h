// SPDX-License-Identifier: BSD-2-Clause
// One bitmap block and what DRAM knows about it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "fs/base/mutex.h"
#include "fs/core/transaction.h"

namespace mirdax {

struct BitRun {
  uint32_t start = 0;
  uint32_t length = 0;
};

// A bit of the group is *used* (1 in the bitmap), *busy* (0 in the bitmap, but owned in DRAM:
// reserved, or freed and quarantined) or *free*. The bitmap is PM's, seen through the overlay; the
// busy bits take memory only while there are any.
//
// Invariants:
//  G1 a bit is never used and busy at once; Reserve() hands out only free bits.
//  G2 free() is the number of free bits, exactly, when no call is under way.
//  G3 longest() is never less than the longest run of free bits when no call is under way.
//  G4 bits outside [first, end) are never handed out, whatever the bitmap says (R9).
//
// Errors:  kCorrupt from Free(): a bit was not used; nothing was changed.
// Threads: every method by any. Locks: its own ("allocation group" in transaction.h), held while it
//          calls the overlay.
class BitmapGroup {
 public:
  enum class Fit : uint8_t {
    kWhole,  // a run of `count` bits, or the shorter one right at the goal, or nothing
    kAny,    // ... or else the longest there is
  };

  // Bits [first, end) of bitmap block `block` are managed.
  BitmapGroup(MetaReader& reader, BlockNo block, uint32_t first, uint32_t end)
      : reader_(reader), block_(block), first_(first), end_(end) {}

  // Counts the free bits. REQUIRES: called once, before anything else.
  Status Load();

  // Makes up to `count` free bits busy, at `goal` or after it (none: where the last search ended),
  // wrapping around. A run of length 0 if there is none that fits.
  Result<BitRun> Reserve(uint32_t count, std::optional<uint32_t> goal, Fit fit)
      MIRDAX_EXCLUDES(mutex_);
  // Busy bits become free. REQUIRES: all of `run` is busy.
  void Release(BitRun run) MIRDAX_EXCLUDES(mutex_);
  // Busy bits become used. REQUIRES: all of `run` is busy.
  Status Use(Tx& tx, BitRun run) MIRDAX_EXCLUDES(mutex_);
  // Used bits become busy.
  Status Free(Tx& tx, BitRun run) MIRDAX_EXCLUDES(mutex_);
  Result<bool> IsUsed(uint32_t bit) MIRDAX_EXCLUDES(mutex_);

  uint32_t free() const noexcept { return free_.load(std::memory_order_relaxed); }
  uint32_t longest() const noexcept { return longest_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kWords = kBlockSize / sizeof(uint64_t);
  using Words = std::array<uint64_t, kWords>;

  void CheckBusy(BitRun run) const MIRDAX_REQUIRES(mutex_);
  void SetBusy(BitRun run) MIRDAX_REQUIRES(mutex_);
  void ClearBusy(BitRun run) MIRDAX_REQUIRES(mutex_);
  uint64_t Taken(const Words& used, size_t word) const MIRDAX_REQUIRES(mutex_);
  uint32_t NextFree(const Words& used, uint32_t bit) const MIRDAX_REQUIRES(mutex_);
  uint32_t NextTaken(const Words& used, uint32_t bit, uint32_t limit) const MIRDAX_REQUIRES(mutex_);
  BitRun Search(const Words& used, uint32_t from, uint32_t last_start, uint32_t count) const
      MIRDAX_REQUIRES(mutex_);

  MetaReader& reader_;
  const BlockNo block_;
  const uint32_t first_;
  const uint32_t end_;

  std::atomic<uint32_t> free_{0};
  std::atomic<uint32_t> longest_{0};

  Mutex mutex_;
  uint32_t hint_ MIRDAX_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Words> busy_ MIRDAX_GUARDED_BY(mutex_);
  uint32_t busy_count_ MIRDAX_GUARDED_BY(mutex_) = 0;
};

}  // namespace mirdax
