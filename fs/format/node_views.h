// SPDX-License-Identifier: BSD-2-Clause
// Checked views of the structures of the data area and of inodes. A view is only ever made of bytes
// that passed every check, so that what it hands out leads neither out of its block nor out of the
// data area (R9). The engine, fsck and dump read trees through these and nothing else.
//
//  V1 (R9) counts and offsets lie inside the block; pool blocks lie inside the data area.
//  V2 (R9) keys ascend and lie in the range that the parent gives; a child's level is one less than
//     its parent's: a walk of a cyclic or crossing tree ends within kMaxTreeLevel steps.
//  V3 a block says whose it is and where it lies: a block of another file never passes.
//
// A view points into the bytes it was made of and is good as long as they are.
// Checksums are the reader's business (MetaReader::Read, fsck): these check meaning.
// Errors: kCorrupt; the message names the block (or inode) and what is wrong with it.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"

namespace mirdax {

// Keys that a subtree may hold: [first, end).
struct KeyRange {
  uint64_t first = 0;
  uint64_t end = std::numeric_limits<uint64_t>::max();
};
inline constexpr KeyRange kAllFileBlocks{0, kMaxFileBlocks};
inline constexpr KeyRange kAllDirKeys{0, kDirKeyMax + 1};

// Where a walk stands: what its parent says about the block.
struct NodePlace {
  BlockNo self = 0;
  Ino owner = 0;
  uint16_t level = 0;
  KeyRange keys;
};

// Magic (0 means a free slot: kNotFound, without a message), number, type, flags, sizes, times,
// xattr block, and the root of a directory. Not the checksum.
Status CheckInode(const InodeDisk& inode, Ino ino, const Geometry& geometry);

// True for inodes whose payload is an ExtentRoot: regular files, symlinks that are not inline.
bool HasExtentTree(const InodeDisk& inode) noexcept;

// One node of an extent tree, the root in the inode included.
class ExtentNodeView {
 public:
  static Result<ExtentNodeView> OfRoot(const InodeDisk& inode, const Geometry& geometry);
  static Result<ExtentNodeView> Of(std::span<const std::byte> block, const NodePlace& place,
                                   const Geometry& geometry);

  uint16_t level() const noexcept { return level_; }
  size_t count() const noexcept { return entries_.size(); }
  KeyRange keys() const noexcept { return keys_; }
  // REQUIRES: level() == 0. Sorted, not overlapping, inside keys().
  std::span<const Extent> extents() const noexcept { return entries_; }
  // REQUIRES: level() > 0.
  ExtentIndex child(size_t i) const noexcept;
  // Which child holds `file_block`. REQUIRES: level() > 0, file_block in keys().
  size_t ChildFor(uint64_t file_block) const noexcept;
  NodePlace ChildPlace(size_t i) const noexcept;
  // Either kind of entry, for editors: the two have one size and begin with the key.
  std::span<const Extent> raw() const noexcept { return entries_; }

 private:
  friend struct ExtentNodeChecker;
  Ino owner_ = 0;
  uint16_t level_ = 0;
  KeyRange keys_;
  std::span<const Extent> entries_;
};

class DirIndexView {
 public:
  static Result<DirIndexView> Of(std::span<const std::byte> block, const NodePlace& place,
                                 const Geometry& geometry);

  uint16_t level() const noexcept { return place_.level; }
  std::span<const DirIndexEntry> entries() const noexcept { return entries_; }
  // REQUIRES: key in the place's keys.
  size_t ChildFor(DirKey key) const noexcept;
  NodePlace ChildPlace(size_t i) const noexcept;

 private:
  NodePlace place_;
  std::span<const DirIndexEntry> entries_;
};

struct DirEntryView {
  DirKey key = 0;
  Ino ino = 0;
  uint8_t type = 0;  // DT_*
  std::string_view name;
};

class DirLeafView {
 public:
  // Names are checked too: 1..255 bytes, no '/', no NUL, not "." or "..".
  static Result<DirLeafView> Of(std::span<const std::byte> block, const NodePlace& place,
                                const Geometry& geometry);

  size_t count() const noexcept { return slots_.size(); }
  DirEntryView entry(size_t i) const noexcept;
  // Index of the first entry whose key is at least `key`; count() if none is.
  size_t LowerBound(DirKey key) const noexcept;
  uint16_t slot(size_t i) const noexcept { return slots_[i]; }  // byte offset of an entry
  uint16_t heap_start() const noexcept { return heap_start_; }
  // Bytes that the entries take in the heap, without gaps.
  size_t heap_used() const noexcept { return heap_used_; }

 private:
  std::span<const std::byte> block_;
  std::span<const uint16_t> slots_;
  uint16_t heap_start_ = 0;
  size_t heap_used_ = 0;
};

// The level that a directory's root block states (0: a leaf), once its header is plausible: needed
// to place the root, since an inode does not say how high its tree is. Type and level agree.
Result<NodePlace> DirRootPlace(std::span<const std::byte> block, BlockNo self, Ino owner);

struct XattrView {
  XattrNamespace space;
  std::string_view name;
  std::string_view value;
};

class XattrBlockView {
 public:
  static Result<XattrBlockView> Of(std::span<const std::byte> block, BlockNo self, Ino owner);

  // Calls `visit(const XattrView&)` for each entry until it returns false.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (size_t at = sizeof(BlockHeader); at < end_;) {
      if (!visit(EntryAt(at))) return;
      at += SizeAt(at);
    }
  }
  size_t end() const noexcept { return end_; }  // first byte not used

 private:
  XattrView EntryAt(size_t at) const noexcept;
  size_t SizeAt(size_t at) const noexcept;

  std::span<const std::byte> block_;
  size_t end_ = 0;
};

// Bytes that an entry takes in its block.
constexpr size_t DirEntrySize(size_t name_length) noexcept {
  return (sizeof(DirEntryHeader) + name_length + 7) / 8 * 8;
}
constexpr size_t XattrEntrySize(size_t name_length, size_t value_length) noexcept {
  return (sizeof(XattrEntry) + name_length + value_length + 7) / 8 * 8;
}
inline constexpr size_t kXattrSpace = kBlockSize - sizeof(BlockHeader);

}  // namespace mirdax
