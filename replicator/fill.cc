// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fill.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

// How long a commit may have to wait for a slice: some milliseconds on a slow network.
constexpr uint64_t kSliceBytes = uint64_t{2} << 20;
// Zeros cost no network, and looking at a bitmap next to nothing.
constexpr uint64_t kSliceZeros = uint64_t{16} << 20;
constexpr uint64_t kSliceBits = uint64_t{1} << 20;

class Bits {
 public:
  Bits(const std::byte* bytes, uint64_t count) : bytes_(bytes), count_(count) {}

  bool at(uint64_t i) const {
    return (std::to_integer<unsigned>(bytes_[i / 8]) >> (i % 8) & 1U) != 0;
  }
  // The end of the run of bits like that at `first`, or `limit`.
  uint64_t RunEnd(uint64_t first, uint64_t limit) const {
    const bool value = at(first);
    const uint64_t same = value ? ~uint64_t{0} : 0;
    uint64_t i = first;
    while (i < limit && at(i) == value) {
      uint64_t word = 0;
      if (i % 64 == 0 && i + 64 <= limit) std::memcpy(&word, bytes_ + i / 8, sizeof(word));
      i += i % 64 == 0 && i + 64 <= limit && word == same ? 64 : 1;
    }
    return i;
  }
  uint64_t Ones() const {
    uint64_t ones = 0;
    for (uint64_t i = 0; i < count_;) {
      const uint64_t end = RunEnd(i, count_);
      if (at(i)) ones += end - i;
      i = end;
    }
    return ones;
  }

 private:
  const std::byte* const bytes_;
  const uint64_t count_;
};

class Copier {
 public:
  Copier(Pool& pool, MirrorLink& link, const SliceRunner& run_slice,
         const std::function<void(uint64_t, uint64_t)>& progress)
      : region_(pool.region()),
        geometry_(pool.geometry()),
        blocks_(region_.At(geometry_.block_bitmap.offset, geometry_.block_bitmap.length),
                geometry_.data_blocks),
        link_(link),
        run_slice_(run_slice),
        progress_(progress) {}

  bool Run() {
    return Slice([&](Lsn) { total_ = blocks_.Ones() * kBlockSize; }) &&
           CopyBitmap(geometry_.block_bitmap) && CopyBitmap(geometry_.inode_bitmap) &&
           CopyBitmap(geometry_.orphan_bitmap) && CopyInodes() && CopyData() &&
           Slice([&](Lsn commit) { link_.FinishFill(commit); });
  }

 private:
  bool Slice(const std::function<void(Lsn commit)>& slice) {
    const bool going = run_slice_(slice);
    progress_(std::min(done_, total_), total_);
    return going;
  }

  bool CopyBitmap(const PoolRange& bitmap) {
    bool going = true;
    for (uint64_t at = bitmap.offset; going && at < bitmap.end(); at += kSliceBytes) {
      const uint64_t length = std::min(kSliceBytes, bitmap.end() - at);
      going = Slice([&](Lsn commit) { link_.PostHome({at, length}, commit, region_); });
    }
    return going;
  }

  bool CopyInodes() {
    static_assert(kInodesPerBlock == 16);
    const std::byte* inodes =
        region_.At(geometry_.inode_bitmap.offset, geometry_.inode_bitmap.length);
    const uint64_t table_blocks = geometry_.inode_table.length / kBlockSize;
    const auto used = [&](uint64_t block) {
      if (block * kInodesPerBlock >= geometry_.inode_count) return false;
      return inodes[2 * block] != std::byte{0} || inodes[2 * block + 1] != std::byte{0};
    };
    bool going = true;
    for (uint64_t first = 0; going && first < table_blocks;) {
      going = Slice([&](Lsn commit) {
        const bool in_use = used(first);
        const uint64_t most = (in_use ? kSliceBytes : kSliceZeros) / kBlockSize;
        uint64_t end = first + 1;
        while (end < table_blocks && end - first < most && used(end) == in_use) ++end;
        const PoolRange range{geometry_.inode_table.offset + first * kBlockSize,
                              (end - first) * kBlockSize};
        if (in_use)
          link_.PostHome(range, commit, region_);
        else
          link_.PostZeros(range, commit);
        first = end;
      });
    }
    return going;
  }

  bool CopyData() {
    bool going = true;
    for (uint64_t next = 0; going && next < geometry_.data_blocks;) {
      std::vector<PoolRange> data;
      uint64_t bytes = 0;
      going = Slice([&](Lsn commit) {
        const uint64_t limit = std::min(geometry_.data_blocks, next + kSliceBits);
        while (next < limit && bytes < kSliceBytes) {
          uint64_t end = blocks_.RunEnd(next, limit);
          if (blocks_.at(next)) {
            end = std::min(end, next + (kSliceBytes - bytes) / kBlockSize);
            const uint64_t length = (end - next) * kBlockSize;
            data.push_back({geometry_.data.offset + next * kBlockSize, length});
            bytes += length;
          }
          next = end;
        }
        if (Mutated(Mutant::kFillLosesRun) && !data.empty()) data.pop_back();
        if (!data.empty()) link_.Post({data, commit, commit}, {}, region_, geometry_);
        done_ += bytes;
      });
    }
    return going;
  }

  Region& region_;
  const Geometry geometry_;
  const Bits blocks_;
  MirrorLink& link_;
  const SliceRunner& run_slice_;
  const std::function<void(uint64_t, uint64_t)>& progress_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;  // as it was when the fill began
};

}  // namespace

Status CheckAllocated(Pool& pool, const SliceRunner& run_slice) {
  Region& region = pool.region();
  const Geometry& geometry = pool.geometry();
  Status good;
  const auto check = [&](const PoolRange& range) {
    for (uint64_t done = 0; good && done < range.length; done += kSliceZeros) {
      const PoolRange piece{range.offset + done, std::min(range.length - done, kSliceZeros)};
      FindBad({region.At(piece.offset, piece.length), piece.length});
      good = region.CheckGood(piece.offset, piece.length);
    }
  };
  const Bits blocks(region.At(geometry.block_bitmap.offset, geometry.block_bitmap.length),
                    geometry.data_blocks);
  bool going = run_slice([&](Lsn) {
    for (const PoolRange& range : {geometry.block_bitmap, geometry.inode_bitmap,
                                   geometry.orphan_bitmap, geometry.inode_table})
      check(range);
  });
  for (uint64_t next = 0; good && going && next < geometry.data_blocks;) {
    going = run_slice([&](Lsn) {
      const uint64_t end =
          blocks.RunEnd(next, std::min(geometry.data_blocks, next + kSliceZeros / kBlockSize));
      if (blocks.at(next))
        check({geometry.data.offset + next * kBlockSize, (end - next) * kBlockSize});
      next = end;
    });
  }
  if (good) return {};
  return Fail(ErrorCode::kIo, "no mirror can be filled from here, and none was changed: {}",
              good.error().message);
}

bool CopyAllocated(Pool& pool, MirrorLink& link, const SliceRunner& run_slice,
                   const std::function<void(uint64_t, uint64_t)>& progress) {
  return Copier(pool, link, run_slice, progress).Run();
}

}  // namespace mirdax
