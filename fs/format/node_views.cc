// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/node_views.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace mirdax {
namespace {

template <typename T>
const T& At(std::span<const std::byte> bytes, size_t offset = 0) noexcept {
  return *reinterpret_cast<const T*>(bytes.data() + offset);
}

tl::unexpected<Error> BadBlock(const NodePlace& place, std::string_view what) {
  return Fail(ErrorCode::kCorrupt, "block {} of inode {}: {}", place.self, place.owner, what);
}

tl::unexpected<Error> BadInode(Ino ino, std::string_view what) {
  return Fail(ErrorCode::kCorrupt, "inode {}: {}", ino, what);
}

Status CheckHeader(std::span<const std::byte> block, const NodePlace& place, BlockType type,
                   size_t capacity) {
  if (block.size() != kBlockSize) return BadBlock(place, "not a whole block");
  const auto& header = At<BlockHeader>(block);
  if (header.magic != kBlockMagic) return BadBlock(place, "wrong magic number");
  if (header.type != type) return BadBlock(place, "wrong type of block");
  if (header.self != place.self) return BadBlock(place, "says that it lies elsewhere");
  if (header.owner != place.owner) return BadBlock(place, "belongs to another inode");
  if (header.level != place.level) return BadBlock(place, "wrong level for its place in the tree");
  if (header.count == 0) return BadBlock(place, "empty");
  if (header.count > capacity) return BadBlock(place, "more entries than fit");
  return {};
}

bool IsDirType(uint8_t type) noexcept {
  return S_ISREG(DTTOIF(type)) || S_ISDIR(DTTOIF(type)) || S_ISLNK(DTTOIF(type)) ||
         S_ISCHR(DTTOIF(type)) || S_ISBLK(DTTOIF(type)) || S_ISFIFO(DTTOIF(type)) ||
         S_ISSOCK(DTTOIF(type));
}

bool IsName(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." &&
         std::memchr(name.data(), '/', name.size()) == nullptr &&
         std::memchr(name.data(), '\0', name.size()) == nullptr;
}

template <typename Entry, typename Key>
size_t LastNotAbove(std::span<const Entry> entries, uint64_t key, Key Entry::*member) noexcept {
  const auto above = std::upper_bound(entries.begin() + 1, entries.end(), key,
                                      [&](uint64_t k, const Entry& e) { return k < e.*member; });
  return static_cast<size_t>(above - entries.begin()) - 1;
}

// Where child `i` of a node lies: its range ends where the next one's begins.
template <typename Entry, typename Key>
KeyRange RangeOfChild(std::span<const Entry> entries, size_t i, KeyRange keys,
                      Key Entry::*member) noexcept {
  return {i == 0 ? keys.first : entries[i].*member,
          i + 1 == entries.size() ? keys.end : entries[i + 1].*member};
}

}  // namespace

Status CheckInode(const InodeDisk& inode, Ino ino, const Geometry& geometry) {
  if (inode.magic == 0) return Fail(ErrorCode::kNotFound);
  if (inode.magic != kInodeMagic) return BadInode(ino, "wrong magic number");
  if (inode.ino != ino) return BadInode(ino, "the slot holds another inode's number");
  const mode_t type = inode.mode & S_IFMT;
  if (!IsDirType(static_cast<uint8_t>(IFTODT(type))) || (inode.mode & ~mode_t{S_IFMT | 07777}) != 0)
    return BadInode(ino, "no such type of file");
  if ((inode.flags & ~(kInodeOrphan | kInodeInlineLink)) != 0)
    return BadInode(ino, "unknown flags");
  if ((inode.flags & kInodeInlineLink) != 0 && !S_ISLNK(type))
    return BadInode(ino, "an inline target in what is not a symbolic link");
  if (inode.size > kMaxFileSize) return BadInode(ino, "larger than a file can be");
  if (S_ISLNK(type) &&
      inode.size > ((inode.flags & kInodeInlineLink) != 0 ? kInlineSymlinkMax : kBlockSize))
    return BadInode(ino, "the target of the symbolic link is too long");
  if (S_ISDIR(type) && inode.size % kBlockSize != 0)
    return BadInode(ino, "a directory with a broken size");
  if (inode.blocks > geometry.data_blocks) return BadInode(ino, "more blocks than there are");
  if (inode.xattr_block != 0 && !geometry.IsDataRange(inode.xattr_block, 1))
    return BadInode(ino, "attributes outside the data area");
  for (const uint32_t nanoseconds : inode.nanoseconds)
    if (nanoseconds >= 1'000'000'000) return BadInode(ino, "a time that does not exist");
  if (inode.parent >= geometry.inode_count) return BadInode(ino, "a parent that does not exist");
  if (inode.zero != 0) return BadInode(ino, "reserved bytes are in use");
  if (S_ISDIR(type)) {
    const auto& root = *reinterpret_cast<const DirRoot*>(inode.payload.data());
    if (root.root != 0 && !geometry.IsDataRange(root.root, 1))
      return BadInode(ino, "the directory's root lies outside the data area");
    if ((root.root == 0) != (root.entry_count == 0))
      return BadInode(ino, "the directory's root and its number of entries disagree");
  }
  return {};
}

bool HasExtentTree(const InodeDisk& inode) noexcept {
  return S_ISREG(inode.mode) || (S_ISLNK(inode.mode) && (inode.flags & kInodeInlineLink) == 0);
}

// --- extents ---

struct ExtentNodeChecker {
  static Status CheckExtents(std::span<const Extent> extents, const NodePlace& place,
                             const Geometry& geometry) {
    uint64_t from = place.keys.first;
    for (const Extent& extent : extents) {
      if (extent.file_block < from) return BadBlock(place, "extents overlap or are not sorted");
      if (extent.length == 0 || extent.length > kMaxExtentBlocks)
        return BadBlock(place, "an extent of an impossible length");
      if (extent.file_block >= place.keys.end || extent.length > place.keys.end - extent.file_block)
        return BadBlock(place, "an extent beyond the range of its node");
      if ((extent.flags & ~kExtentUnwritten) != 0)
        return BadBlock(place, "an extent with unknown flags");
      if (!geometry.IsDataRange(extent.pool_block, extent.length))
        return BadBlock(place, "an extent outside the data area");
      from = extent.file_block + extent.length;
    }
    return {};
  }

  static Status CheckChildren(std::span<const Extent> entries, const NodePlace& place,
                              const Geometry& geometry) {
    uint64_t from = place.keys.first;
    for (const Extent& entry : entries) {
      if (entry.file_block < from) return BadBlock(place, "children are not sorted");
      if (entry.file_block >= place.keys.end)
        return BadBlock(place, "a child beyond the range of its node");
      if (entry.length != 0 || entry.flags != 0)
        return BadBlock(place, "reserved bytes of a child are in use");
      if (!geometry.IsDataRange(entry.pool_block, 1))
        return BadBlock(place, "a child outside the data area");
      from = entry.file_block + 1;
    }
    return {};
  }

  static Result<ExtentNodeView> Make(std::span<const Extent> entries, const NodePlace& place,
                                     const Geometry& geometry) {
    // An ExtentIndex is read as an Extent: key, block, and eight bytes that are zero.
    static_assert(offsetof(Extent, pool_block) == offsetof(ExtentIndex, child));
    static_assert(offsetof(Extent, length) == offsetof(ExtentIndex, zero));
    MIRDAX_TRY(place.level == 0 ? CheckExtents(entries, place, geometry)
                                : CheckChildren(entries, place, geometry));
    ExtentNodeView view;
    view.owner_ = place.owner;
    view.level_ = place.level;
    view.keys_ = place.keys;
    view.entries_ = entries;
    return view;
  }
};

Result<ExtentNodeView> ExtentNodeView::OfRoot(const InodeDisk& inode, const Geometry& geometry) {
  const auto& root = *reinterpret_cast<const ExtentRoot*>(inode.payload.data());
  if (root.level > kMaxTreeLevel) return BadInode(inode.ino, "its tree is too high");
  if (root.count > kExtentsInRoot || (root.count == 0 && root.level != 0) || root.zero != 0)
    return BadInode(inode.ino, "the root of its tree is damaged");
  const NodePlace place{inode.ino * kInodeSize / kBlockSize, inode.ino, root.level, kAllFileBlocks};
  auto view = ExtentNodeChecker::Make(std::span(root.entries).first(root.count), place, geometry);
  if (!view) return BadInode(inode.ino, "the root of its tree is damaged: " + view.error().message);
  return view;
}

Result<ExtentNodeView> ExtentNodeView::Of(std::span<const std::byte> block, const NodePlace& place,
                                          const Geometry& geometry) {
  if (place.level >= kMaxTreeLevel) return BadBlock(place, "its tree is too high");
  MIRDAX_TRY(CheckHeader(block, place, BlockType::kExtentNode, kExtentsPerNode));
  const auto& node = At<ExtentNode>(block);
  return ExtentNodeChecker::Make(std::span(node.entries).first(node.header.count), place, geometry);
}

ExtentIndex ExtentNodeView::child(size_t i) const noexcept {
  return {entries_[i].file_block, entries_[i].pool_block, 0};
}

size_t ExtentNodeView::ChildFor(uint64_t file_block) const noexcept {
  return LastNotAbove(entries_, file_block, &Extent::file_block);
}

NodePlace ExtentNodeView::ChildPlace(size_t i) const noexcept {
  return {entries_[i].pool_block, owner_, static_cast<uint16_t>(level_ - 1),
          RangeOfChild(entries_, i, keys_, &Extent::file_block)};
}

// --- directories ---

Result<NodePlace> DirRootPlace(std::span<const std::byte> block, BlockNo self, Ino owner) {
  NodePlace place{self, owner, 0, kAllDirKeys};
  if (block.size() != kBlockSize) return BadBlock(place, "not a whole block");
  const auto& header = At<BlockHeader>(block);
  place.level = header.level;
  if (header.level > kMaxTreeLevel) return BadBlock(place, "its tree is too high");
  if (header.type != (header.level == 0 ? BlockType::kDirLeaf : BlockType::kDirIndex))
    return BadBlock(place, "not the root of a directory");
  return place;
}

Result<DirIndexView> DirIndexView::Of(std::span<const std::byte> block, const NodePlace& place,
                                      const Geometry& geometry) {
  if (place.level == 0 || place.level > kMaxTreeLevel)
    return BadBlock(place, "wrong level for an index of a directory");
  MIRDAX_TRY(CheckHeader(block, place, BlockType::kDirIndex, kDirIndexEntries));
  const auto& node = At<DirIndexNode>(block);
  DirIndexView view;
  view.place_ = place;
  view.entries_ = std::span(node.entries).first(node.header.count);
  uint64_t from = place.keys.first;
  for (const DirIndexEntry& entry : view.entries_) {
    if (entry.key < from) return BadBlock(place, "children are not sorted");
    if (entry.key >= place.keys.end) return BadBlock(place, "a child beyond the range of its node");
    if (!geometry.IsDataRange(entry.child, 1))
      return BadBlock(place, "a child outside the data area");
    from = entry.key + 1;
  }
  return view;
}

size_t DirIndexView::ChildFor(DirKey key) const noexcept {
  return LastNotAbove(entries_, key, &DirIndexEntry::key);
}

NodePlace DirIndexView::ChildPlace(size_t i) const noexcept {
  return {entries_[i].child, place_.owner, static_cast<uint16_t>(place_.level - 1),
          RangeOfChild(entries_, i, place_.keys, &DirIndexEntry::key)};
}

namespace {

// Finds entries of a leaf that lie on top of each other: entries are 8-aligned, one bit stands for
// eight bytes.
class HeapMap {
 public:
  // False when some of [offset, offset + size) is taken.
  bool Take(size_t offset, size_t size) noexcept {
    for (size_t unit = offset / 8; unit < (offset + size) / 8; ++unit) {
      uint64_t& word = words_[unit / 64];
      const uint64_t bit = uint64_t{1} << (unit % 64);
      if ((word & bit) != 0) return false;
      word |= bit;
    }
    return true;
  }

 private:
  std::array<uint64_t, kBlockSize / 8 / 64> words_{};
};

}  // namespace

Result<DirLeafView> DirLeafView::Of(std::span<const std::byte> block, const NodePlace& place,
                                    const Geometry& geometry) {
  if (place.level != 0) return BadBlock(place, "wrong level for a leaf of a directory");
  MIRDAX_TRY(CheckHeader(block, place, BlockType::kDirLeaf,
                         (kBlockSize - sizeof(BlockHeader)) / sizeof(uint16_t)));
  const auto& header = At<BlockHeader>(block);
  DirLeafView view;
  view.block_ = block;
  view.slots_ = {&At<uint16_t>(block, sizeof(BlockHeader)), header.count};
  view.heap_start_ = header.heap_start;
  if (view.heap_start_ < sizeof(BlockHeader) + view.slots_.size_bytes() ||
      view.heap_start_ > kBlockSize || view.heap_start_ % 8 != 0)
    return BadBlock(place, "its heap begins at an impossible offset");
  HeapMap taken;
  DirKey from = std::max<DirKey>(place.keys.first, kDirKeyMin);
  for (const uint16_t offset : view.slots_) {
    if (offset < view.heap_start_ || offset % 8 != 0 || offset + DirEntrySize(1) > kBlockSize)
      return BadBlock(place, "an entry outside the heap");
    const auto& entry = At<DirEntryHeader>(block, offset);
    const size_t size = DirEntrySize(entry.name_length);
    if (entry.name_length == 0 || offset + size > kBlockSize)
      return BadBlock(place, "a name that does not fit");
    if (!taken.Take(offset, size)) return BadBlock(place, "entries overlap");
    if (entry.key < from) return BadBlock(place, "entries are not sorted");
    if (entry.key >= place.keys.end || entry.key > kDirKeyMax)
      return BadBlock(place, "an entry beyond the range of its leaf");
    if (entry.ino == 0 || entry.ino >= geometry.inode_count)
      return BadBlock(place, "an entry of an inode that does not exist");
    if (!IsDirType(entry.type)) return BadBlock(place, "an entry of an unknown type");
    if (!IsName({reinterpret_cast<const char*>(block.data()) + offset + sizeof(DirEntryHeader),
                 entry.name_length}))
      return BadBlock(place, "an impossible name");
    view.heap_used_ += size;
    from = entry.key + 1;
  }
  return view;
}

DirEntryView DirLeafView::entry(size_t i) const noexcept {
  const auto& entry = At<DirEntryHeader>(block_, slots_[i]);
  return {entry.key,
          entry.ino,
          entry.type,
          {reinterpret_cast<const char*>(&entry + 1), entry.name_length}};
}

size_t DirLeafView::LowerBound(DirKey key) const noexcept {
  const auto at = std::lower_bound(
      slots_.begin(), slots_.end(), key,
      [&](uint16_t offset, DirKey k) { return At<DirEntryHeader>(block_, offset).key < k; });
  return static_cast<size_t>(at - slots_.begin());
}

// --- extended attributes ---

Result<XattrBlockView> XattrBlockView::Of(std::span<const std::byte> block, BlockNo self,
                                          Ino owner) {
  const NodePlace place{self, owner, 0, {}};
  MIRDAX_TRY(CheckHeader(block, place, BlockType::kXattr, kXattrSpace / sizeof(XattrEntry)));
  const auto& header = At<BlockHeader>(block);
  XattrBlockView view;
  view.block_ = block;
  view.end_ = header.heap_start;
  if (view.end_ > kBlockSize || view.end_ % 8 != 0)
    return BadBlock(place, "its attributes end at an impossible offset");
  size_t count = 0;
  size_t at = sizeof(BlockHeader);
  for (; at < view.end_; at += view.SizeAt(at), ++count) {
    if (view.end_ - at < sizeof(XattrEntry) || view.end_ - at < view.SizeAt(at))
      return BadBlock(place, "an attribute beyond the end");
    const auto& entry = At<XattrEntry>(block, at);
    if (entry.space < XattrNamespace::kUser || entry.space > XattrNamespace::kAclDefault)
      return BadBlock(place, "an attribute of an unknown namespace");
    const bool acl = entry.space >= XattrNamespace::kAclAccess;
    if (acl != (entry.name_length == 0) || entry.zero != 0)
      return BadBlock(place, "an attribute with an impossible name");
    if (std::memchr(view.EntryAt(at).name.data(), '\0', entry.name_length) != nullptr)
      return BadBlock(place, "an attribute with an impossible name");
  }
  if (at != view.end_ || count != header.count)
    return BadBlock(place, "the number of attributes is wrong");
  return view;
}

XattrView XattrBlockView::EntryAt(size_t at) const noexcept {
  const auto& entry = At<XattrEntry>(block_, at);
  const auto* text = reinterpret_cast<const char*>(&entry + 1);
  return {entry.space, {text, entry.name_length}, {text + entry.name_length, entry.value_length}};
}

size_t XattrBlockView::SizeAt(size_t at) const noexcept {
  const auto& entry = At<XattrEntry>(block_, at);
  return XattrEntrySize(entry.name_length, entry.value_length);
}

}  // namespace mirdax
