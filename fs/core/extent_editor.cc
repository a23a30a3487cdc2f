// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/extent_editor.h"

#include <algorithm>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax {
namespace {

constexpr size_t kSmallNode = kExtentsPerNode / 4;       // try to merge below this
constexpr size_t kMergedNode = kExtentsPerNode * 3 / 4;  // and leave some room when done

Extent ChildEntry(uint64_t key, BlockNo block) noexcept { return {key, block, 0, 0}; }

}  // namespace

Status ExtentEditor::Load(uint64_t file_block) {
  MIRDAX_CHECK(file_block < kMaxFileBlocks && path_.empty());
  const Geometry& geometry = tx_.reader().geometry();
  MIRDAX_ASSIGN(auto view, ExtentNodeView::OfRoot(inode_, geometry));
  NodePlace place{0, inode_.ino, view.level(), view.keys()};
  for (;;) {
    path_.push_back({place, {view.raw().begin(), view.raw().end()}, 0});
    if (place.level == 0) return {};
    path_.back().child = view.ChildFor(file_block);
    place = view.ChildPlace(path_.back().child);
    MIRDAX_ASSIGN(const auto bytes, edit_.Read(place.self));
    MIRDAX_ASSIGN(view, ExtentNodeView::Of(bytes, place, geometry));
  }
}

Status ExtentEditor::Apply(InodeDisk& inode, int64_t data_delta) {
  MIRDAX_TRY(LowerRoot());
  const int64_t delta = data_delta + edit_.block_delta();
  if (delta < 0 && inode_.blocks < static_cast<uint64_t>(-delta))
    return Fail(ErrorCode::kCorrupt, "inode {}: it owns more blocks than its count says",
                inode_.ino);
  inode_.blocks += static_cast<uint64_t>(delta);
  MIRDAX_TRY(edit_.Apply());
  inode.blocks = inode_.blocks;
  inode.payload = inode_.payload;
  return {};
}

Status ExtentEditor::Store(size_t depth, ExtentList entries) {
  Step& step = path_[depth];
  if (depth == 0) return StoreRoot(step.place.level, std::move(entries));
  Step& parent = path_[depth - 1];
  if (entries.empty()) {
    edit_.Discard(step.place.self);
    ExtentList siblings = parent.entries;
    siblings.erase(siblings.begin() + static_cast<ptrdiff_t>(parent.child));
    return Store(depth - 1, std::move(siblings));
  }
  if (entries.size() > kExtentsPerNode) return Split(depth, std::move(entries));
  if (entries.size() < kSmallNode && entries.size() < step.entries.size()) {
    for (const size_t neighbour : {parent.child + 1, parent.child - 1}) {
      if (neighbour >= parent.entries.size()) continue;  // below 0 it wraps around
      MIRDAX_ASSIGN(const bool merged, TryMerge(depth, entries, neighbour));
      if (merged) return {};
    }
  }
  Write(step.place.self, entries);
  return {};
}

Status ExtentEditor::StoreRoot(uint16_t level, ExtentList entries) {
  if (entries.size() > kExtentsInRoot) {
    if (level + 1 > kMaxTreeLevel)
      return Fail(ErrorCode::kFileTooBig, "inode {}: its tree cannot grow higher", inode_.ino);
    MIRDAX_ASSIGN(const BlockNo node,
                  edit_.Create(BlockType::kExtentNode, level, entries.front().pool_block));
    Write(node, entries);
    entries = {ChildEntry(0, node)};
    ++level;
  }
  ExtentRoot root{};
  root.level = entries.empty() ? uint16_t{0} : level;
  root.count = static_cast<uint16_t>(entries.size());
  std::copy(entries.begin(), entries.end(), root.entries.begin());
  std::memcpy(inode_.payload.data(), &root, sizeof(root));
  return {};
}

Status ExtentEditor::Split(size_t depth, ExtentList entries) {
  const Step& step = path_[depth];
  // A file that grows at its end leaves full nodes behind it.
  const bool rightmost = step.place.keys.end == kMaxFileBlocks;
  const size_t left = rightmost ? kExtentsPerNode : entries.size() / 2;
  const std::span<const Extent> right = std::span(entries).subspan(left);
  MIRDAX_ASSIGN(const BlockNo node,
                edit_.Create(BlockType::kExtentNode, step.place.level, step.place.self));
  Write(node, right);
  Write(step.place.self, std::span(entries).first(left));
  const Step& parent = path_[depth - 1];
  ExtentList siblings = parent.entries;
  siblings.insert(siblings.begin() + static_cast<ptrdiff_t>(parent.child) + 1,
                  ChildEntry(right.front().file_block, node));
  return Store(depth - 1, std::move(siblings));
}

// Moves `entries`, the new content of the node at `depth`, and its neighbour into the left one of
// the two, if there is room.
Result<bool> ExtentEditor::TryMerge(size_t depth, const ExtentList& entries, size_t neighbour) {
  const Step& step = path_[depth];
  const Step& parent = path_[depth - 1];
  const size_t left = std::min(parent.child, neighbour);
  const size_t right = left + 1;
  const Extent& left_entry = parent.entries[left];
  const Extent& right_entry = parent.entries[right];
  const uint64_t parent_end = right + 1 == parent.entries.size()
                                  ? parent.place.keys.end
                                  : parent.entries[right + 1].file_block;
  NodePlace place = step.place;
  place.self = parent.entries[neighbour].pool_block;
  place.keys = neighbour == right
                   ? KeyRange{right_entry.file_block, parent_end}
                   : KeyRange{left == 0 ? parent.place.keys.first : left_entry.file_block,
                              right_entry.file_block};
  MIRDAX_ASSIGN(ExtentList other, ReadNode(place));
  if (entries.size() + other.size() > kMergedNode) return false;
  const ExtentList& first = neighbour == right ? entries : other;
  ExtentList second = neighbour == right ? other : entries;
  // The first child of the right node begins where the node did; in the middle it has to say so.
  if (step.place.level > 0) second.front().file_block = right_entry.file_block;
  ExtentList merged = first;
  merged.insert(merged.end(), second.begin(), second.end());
  Write(left_entry.pool_block, merged);
  edit_.Discard(right_entry.pool_block);
  ExtentList siblings = parent.entries;
  siblings.erase(siblings.begin() + static_cast<ptrdiff_t>(right));
  MIRDAX_TRY(Store(depth - 1, std::move(siblings)));
  return true;
}

Result<ExtentList> ExtentEditor::ReadNode(const NodePlace& place) {
  MIRDAX_ASSIGN(const auto bytes, edit_.Read(place.self));
  MIRDAX_ASSIGN(const auto view, ExtentNodeView::Of(bytes, place, tx_.reader().geometry()));
  return ExtentList(view.raw().begin(), view.raw().end());
}

void ExtentEditor::Write(BlockNo block, std::span<const Extent> entries) {
  MIRDAX_CHECK(!entries.empty() && entries.size() <= kExtentsPerNode);
  auto& node = *reinterpret_cast<ExtentNode*>(edit_.Edit(block).data());
  node.header.count = static_cast<uint16_t>(entries.size());
  std::copy(entries.begin(), entries.end(), node.entries.begin());
}

// While the root has one child that fits into the inode, that takes its place.
Status ExtentEditor::LowerRoot() {
  for (;;) {
    MIRDAX_ASSIGN(const auto root, ExtentNodeView::OfRoot(inode_, tx_.reader().geometry()));
    if (root.level() == 0 || root.count() != 1) return {};
    const NodePlace child = root.ChildPlace(0);
    MIRDAX_ASSIGN(const auto bytes, edit_.Read(child.self));
    if (reinterpret_cast<const BlockHeader*>(bytes.data())->count > kExtentsInRoot) return {};
    MIRDAX_ASSIGN(ExtentList entries, ReadNode(child));
    edit_.Discard(child.self);
    MIRDAX_TRY(StoreRoot(child.level, std::move(entries)));
  }
}

}  // namespace mirdax
