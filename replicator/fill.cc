// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fill.h"

#include <bit>
#include <cstring>
#include <vector>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

// Data that one batch carries; the mirror drains it before it answers.
constexpr uint64_t kBatchBytes = uint64_t{16} << 20;

// Calls run(first, count) for each run of ones among the first `bits` bits of a bitmap.
template <typename Run>
void ForEachRun(const std::byte* bitmap, uint64_t bits, Run run) {
  const auto bit = [&](uint64_t i) {
    return (std::to_integer<unsigned>(bitmap[i / 8]) >> (i % 8) & 1U) != 0;
  };
  const auto word_is = [&](uint64_t i, uint64_t value) {
    uint64_t word = 0;
    if (i % 64 != 0 || i + 64 > bits) return false;
    std::memcpy(&word, bitmap + i / 8, sizeof(word));
    return word == value;
  };
  for (uint64_t i = 0; i < bits;) {
    if (!bit(i)) {
      i += word_is(i, 0) ? 64 : 1;
      continue;
    }
    const uint64_t first = i;
    while (i < bits && bit(i)) i += word_is(i, ~uint64_t{0}) ? 64 : 1;
    run(first, i - first);
  }
}

class Copier {
 public:
  Copier(Pool& pool, MirrorLink& link, EpochId epoch,
         const std::function<void(uint64_t, uint64_t)>& progress)
      : region_(pool.region()),
        geometry_(pool.geometry()),
        link_(link),
        epoch_(epoch),
        progress_(progress) {}

  bool Run() {
    const std::byte* blocks =
        region_.At(geometry_.block_bitmap.offset, geometry_.block_bitmap.length);
    ForEachRun(blocks, geometry_.data_blocks,
               [&](uint64_t, uint64_t count) { total_ += count * kBlockSize; });
    for (const PoolRange& bitmap :
         {geometry_.block_bitmap, geometry_.inode_bitmap, geometry_.orphan_bitmap})
      link_.PostHome(bitmap, epoch_, region_);
    CopyInodes();
    ForEachRun(blocks, geometry_.data_blocks, [&](uint64_t first, uint64_t count) {
      CopyData({geometry_.data.offset + first * kBlockSize, count * kBlockSize});
    });
    if (Mutated(Mutant::kFillLosesRun) && !batch_.empty()) batch_.pop_back();
    SendBatch();
    link_.FinishFill(epoch_);
    if (!Mutated(Mutant::kFillNotAwaited)) link_.AwaitAnswers();
    return !link_.failure();
  }

 private:
  void CopyInodes() {
    const std::byte* inodes =
        region_.At(geometry_.inode_bitmap.offset, geometry_.inode_bitmap.length);
    const uint64_t table_blocks = geometry_.inode_table.length / kBlockSize;
    static_assert(kInodesPerBlock == 16);
    const auto used = [&](uint64_t block) {
      if (block * kInodesPerBlock >= geometry_.inode_count) return false;
      return inodes[2 * block] != std::byte{0} || inodes[2 * block + 1] != std::byte{0};
    };
    for (uint64_t first = 0; first < table_blocks && !link_.failure();) {
      uint64_t end = first + 1;
      while (end < table_blocks && used(end) == used(first)) ++end;
      const PoolRange range{geometry_.inode_table.offset + first * kBlockSize,
                            (end - first) * kBlockSize};
      if (used(first))
        link_.PostHome(range, epoch_, region_);
      else
        link_.PostZeros(range, epoch_);
      first = end;
    }
  }

  void CopyData(PoolRange range) {
    while (range.length != 0 && !link_.failure()) {
      const uint64_t length = std::min(range.length, kBatchBytes - batch_bytes_);
      batch_.push_back({range.offset, length});
      batch_bytes_ += length;
      range = {range.offset + length, range.length - length};
      if (batch_bytes_ == kBatchBytes) SendBatch();
    }
  }

  void SendBatch() {
    if (batch_.empty() || link_.failure()) return;
    link_.Post({batch_, 0, 0}, epoch_, region_, geometry_);
    link_.AwaitAnswers();
    done_ += batch_bytes_;
    batch_.clear();
    batch_bytes_ = 0;
    progress_(done_, total_);
  }

  Region& region_;
  const Geometry geometry_;
  MirrorLink& link_;
  const EpochId epoch_;
  const std::function<void(uint64_t, uint64_t)>& progress_;
  std::vector<PoolRange> batch_;
  uint64_t batch_bytes_ = 0;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

Status CheckAllocated(Pool& pool) {
  Region& region = pool.region();
  const Geometry& geometry = pool.geometry();
  Status good;
  const auto check = [&](const PoolRange& range) {
    if (!good) return;
    FindBad({region.At(range.offset, range.length), range.length});
    good = region.CheckGood(range.offset, range.length);
    if (!good)
      good = Fail(ErrorCode::kIo, "no mirror can be filled from here, and none was changed: {}",
                  good.error().message);
  };
  for (const PoolRange& range :
       {geometry.block_bitmap, geometry.inode_bitmap, geometry.orphan_bitmap, geometry.inode_table})
    check(range);
  if (!good) return good;
  ForEachRun(region.At(geometry.block_bitmap.offset, geometry.block_bitmap.length),
             geometry.data_blocks, [&](uint64_t first, uint64_t count) {
               check({geometry.data.offset + first * kBlockSize, count * kBlockSize});
             });
  return good;
}

bool CopyAllocated(Pool& pool, MirrorLink& link, EpochId epoch,
                   const std::function<void(uint64_t, uint64_t)>& progress) {
  return Copier(pool, link, epoch, progress).Run();
}

}  // namespace mirdax
