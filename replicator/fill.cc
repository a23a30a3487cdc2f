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

// Which blocks of the inode table hold inodes in use.
class InodeBlocks {
 public:
  InodeBlocks(Region& region, const Geometry& geometry)
      : geometry_(geometry),
        bitmap_(region.At(geometry.inode_bitmap.offset, geometry.inode_bitmap.length)) {}

  uint64_t count() const { return geometry_.inode_table.length / kBlockSize; }
  bool used(uint64_t block) const {
    static_assert(kInodesPerBlock == 16);
    if (block * kInodesPerBlock >= geometry_.inode_count) return false;
    return bitmap_[2 * block] != std::byte{0} || bitmap_[2 * block + 1] != std::byte{0};
  }
  PoolRange RangeOf(uint64_t first, uint64_t blocks) const {
    return {geometry_.inode_table.offset + first * kBlockSize, blocks * kBlockSize};
  }

 private:
  const Geometry geometry_;
  const std::byte* const bitmap_;
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

  // As file data: what the medium refuses fails the fill, and is no reason to stop the mount.
  bool IsGood(const PoolRange& range) {
    FindBad({region_.At(range.offset, range.length), range.length});
    Status good = region_.CheckGood(range.offset, range.length);
    if (!good) link_.GiveUp(good.error());
    return good.has_value();
  }
  void PostHome(const PoolRange& range, Lsn commit) {
    if (IsGood(range)) link_.PostHome(range, commit, region_);
  }

  bool CopyBitmap(const PoolRange& bitmap) {
    bool going = true;
    for (uint64_t at = bitmap.offset; going && at < bitmap.end(); at += kSliceBytes) {
      const uint64_t length = std::min(kSliceBytes, bitmap.end() - at);
      going = Slice([&](Lsn commit) { PostHome({at, length}, commit); });
    }
    return going;
  }

  bool CopyInodes() {
    const InodeBlocks inodes(region_, geometry_);
    bool going = true;
    for (uint64_t first = 0; going && first < inodes.count();) {
      going = Slice([&](Lsn commit) {
        const bool in_use = inodes.used(first);
        const uint64_t most = (in_use ? kSliceBytes : kSliceZeros) / kBlockSize;
        uint64_t end = first + 1;
        while (end < inodes.count() && end - first < most && inodes.used(end) == in_use) ++end;
        const PoolRange range = inodes.RangeOf(first, end - first);
        if (in_use)
          PostHome(range, commit);
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
        const bool good = std::all_of(data.begin(), data.end(),
                                      [&](const PoolRange& range) { return IsGood(range); });
        if (good && !data.empty()) link_.Post({data, commit, commit}, {}, region_, geometry_);
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
  bool going = true;
  const auto check = [&](const PoolRange& range) {
    FindBad({region.At(range.offset, range.length), range.length});
    good = region.CheckGood(range.offset, range.length);
  };
  for (const PoolRange& bitmap :
       {geometry.block_bitmap, geometry.inode_bitmap, geometry.orphan_bitmap}) {
    for (uint64_t at = bitmap.offset; good && going && at < bitmap.end(); at += kSliceZeros)
      going = run_slice([&](Lsn) { check({at, std::min(kSliceZeros, bitmap.end() - at)}); });
  }
  const InodeBlocks inodes(region, geometry);
  for (uint64_t first = 0; good && going && first < inodes.count();) {
    going = run_slice([&](Lsn) {
      const uint64_t end = std::min(inodes.count(), first + kSliceZeros / kBlockSize);
      for (; good && first < end; ++first)
        if (inodes.used(first)) check(inodes.RangeOf(first, 1));
    });
  }
  const Bits blocks(region.At(geometry.block_bitmap.offset, geometry.block_bitmap.length),
                    geometry.data_blocks);
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
