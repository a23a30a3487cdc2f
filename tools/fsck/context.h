// SPDX-License-Identifier: BSD-2-Clause
// What the phases of a check share.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"
#include "tools/common/text.h"
#include "tools/fsck/check.h"
#include "tools/fsck/owners.h"

namespace mirdax::fsck {

// Of directories, in phase "links".
enum class Reach : uint8_t { kUnknown, kOnChain, kConnected, kLost };

// What is known of an inode in use, gathered by one phase for the next.
struct InodeState {
  uint32_t names = 0;           // directory entries that point here
  uint32_t subdirectories = 0;  // of a directory: entries that are directories
  uint8_t type = 0;             // DT_*; 0: free, or of no use (phase "inodes" said why)
  Reach reach = Reach::kUnknown;
};

// InodeState by number, in chunks made on first write: a bitmap that says that 2^32 inodes are in
// use costs nothing unless they are there.
class InodeStates {
 public:
  explicit InodeStates(uint64_t count) : chunks_((count + kChunk - 1) / kChunk) {}
  // REQUIRES: ino < count.
  InodeState Get(Ino ino) const {
    const std::unique_ptr<InodeState[]>& chunk = chunks_[ino / kChunk];
    return chunk == nullptr ? InodeState{} : chunk[ino % kChunk];
  }
  // REQUIRES: ino < count.
  InodeState& operator[](Ino ino) {
    std::unique_ptr<InodeState[]>& chunk = chunks_[ino / kChunk];
    if (chunk == nullptr) chunk = std::make_unique<InodeState[]>(kChunk);
    return chunk[ino % kChunk];
  }

 private:
  static constexpr uint64_t kChunk = 4096;
  std::vector<std::unique_ptr<InodeState[]>> chunks_;
};

class CheckContext {
 public:
  CheckContext(Region& pool_region, const CheckOptions& check_options, FsckReport& check_report)
      : region(pool_region), options(check_options), report(check_report) {}

  Region& region;
  const CheckOptions& options;
  FsckReport& report;
  Geometry geometry;
  std::unique_ptr<BlockOwners> owners;
  std::unique_ptr<InodeStates> inodes;

  void Add(FindingCode code, std::string text, Ino ino = 0, BlockNo block = 0) {
    report.findings.Add(code, std::move(text), ino, block);
  }

  const InodeDisk& Inode(Ino ino) { return region.As<InodeDisk>(geometry.InodeOffset(ino)); }
  std::span<const std::byte, kBlockSize> Block(BlockNo block) {
    return BytesAt(block * kBlockSize);
  }
  std::span<const std::byte, kBlockSize> BytesAt(uint64_t offset) {
    return std::span<const std::byte, kBlockSize>(region.At(offset, kBlockSize), kBlockSize);
  }
  uint64_t BitmapWord(const PoolRange& bitmap, uint64_t index) {
    return region.As<uint64_t>(bitmap.offset + index * sizeof(uint64_t));
  }
  bool Bit(const PoolRange& bitmap, uint64_t bit) {
    return ((BitmapWord(bitmap, bit / 64) >> (bit % 64)) & 1) != 0;
  }
  bool InUse(Ino ino) {
    return ino != 0 && ino < geometry.inode_count && Bit(geometry.inode_bitmap, ino);
  }

  // 64 bits of the inode bitmap, without those that stand for nothing: behind the last inode (there
  // the bitmap has ones), and number 0.
  uint64_t InodesInUse(uint64_t index) {
    const uint64_t first = index * 64;
    if (first >= geometry.inode_count) return 0;
    uint64_t word = BitmapWord(geometry.inode_bitmap, index);
    if (geometry.inode_count - first < 64) {
      word &= (uint64_t{1} << (geometry.inode_count - first)) - 1;
    }
    return index == 0 ? word & ~uint64_t{1} : word;
  }

  // Calls `visit(ino)` for every inode in use, in order, with progress for `phase`.
  template <typename Visit>
  void ForEachInode(std::string_view phase, const Visit& visit) {
    const uint64_t words = (geometry.inode_count + 63) / 64;
    for (uint64_t i = 0; i < words; ++i) {
      if (i % 1024 == 0) Progress(phase, i, words);
      for (uint64_t word = InodesInUse(i); word != 0; word &= word - 1) {
        visit(i * 64 + static_cast<unsigned>(std::countr_zero(word)));
      }
    }
  }

  void Progress(std::string_view phase, uint64_t done, uint64_t total) {
    if (options.progress) {
      options.progress(phase, static_cast<unsigned>(done * 100 / std::max<uint64_t>(total, 1)));
    }
  }
};

// The phases, in order. Each returns false when nothing after it can be checked.
bool CheckIdentity(CheckContext& context);
bool CheckJournal(CheckContext& context);
bool CheckInodes(CheckContext& context);
bool CheckExtents(CheckContext& context);
bool CheckDirectories(CheckContext& context);
bool CheckXattrs(CheckContext& context);
bool CheckLinks(CheckContext& context);
bool CheckOrphans(CheckContext& context);
bool CheckBitmaps(CheckContext& context);

// Fills in Finding::path of what was found.
void ResolvePaths(CheckContext& context);

// --- helpers the phases share ---

bool IsAllZero(std::span<const std::byte> bytes) noexcept;
// DT_* of a mode, 0 when the type bits mean nothing.
uint8_t TypeOfMode(uint32_t mode) noexcept;

// Claims `block` as a metadata block of `ino`. False, with a finding, when it cannot be used:
// outside the data area, or owned already, so that no cycle is ever followed. A wrong checksum
// alone is a finding, but no reason to stop: every byte is checked for its meaning anyway.
bool ClaimNode(CheckContext& context, Ino ino, BlockNo block);

}  // namespace mirdax::fsck
