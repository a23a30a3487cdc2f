// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/extent_tree.h"

#include <algorithm>
#include <optional>

#include "fs/base/check.h"
#include "fs/core/extent_editor.h"
#include "fs/format/node_views.h"

namespace mirdax {
namespace {

// Bitmap blocks that the data freed by one call may touch: part of kExtentCredits. What is left:
// a path of six nodes, as many new ones or neighbours, and their bitmap blocks.
constexpr size_t kMaxFreedGroups = 16;

constexpr uint64_t EndOf(const Extent& extent) noexcept {
  return extent.file_block + extent.length;
}

Extent Cut(const Extent& extent, uint64_t first, uint64_t end) noexcept {
  return {first, extent.pool_block + (first - extent.file_block),
          static_cast<uint32_t>(end - first), extent.flags};
}

// The leaf that holds a block, read in place.
struct Leaf {
  ExtentNodeView view;
  BlockView pin;
};

Result<Leaf> Descend(MetaReader& reader, const InodeDisk& inode, uint64_t file_block) {
  MIRDAX_ASSIGN(auto view, ExtentNodeView::OfRoot(inode, reader.geometry()));
  BlockView pin;
  while (view.level() > 0) {
    const NodePlace place = view.ChildPlace(view.ChildFor(file_block));
    MIRDAX_ASSIGN(pin, reader.Read(place.self, BlockKind::kNode));
    MIRDAX_ASSIGN(view, ExtentNodeView::Of(pin.bytes(), place, reader.geometry()));
  }
  return Leaf{view, std::move(pin)};
}

// Appends, or makes the last extent longer when the two are one.
void Append(ExtentList& list, const Extent& extent) {
  if (!list.empty()) {
    Extent& last = list.back();
    if (EndOf(last) == extent.file_block && last.pool_block + last.length == extent.pool_block &&
        last.flags == extent.flags && extent.length <= kMaxExtentBlocks - last.length) {
      last.length += extent.length;
      return;
    }
  }
  list.push_back(extent);
}

// What a change does with the part of a range that is mapped.
enum class Action : uint8_t { kFree, kWrite, kUnwrite };

struct Change {
  uint64_t first = 0;
  uint64_t end = 0;
  Action action = Action::kFree;
  std::optional<Extent> insert;  // kFree: mapped instead
};

// Where a call has to stop so that the blocks it frees lie in few allocation groups.
uint64_t FreeLimit(const ExtentList& leaf, uint64_t first, uint64_t end, const Geometry& geometry) {
  const auto group_of = [&](BlockNo block) {
    return (block - geometry.first_data_block()) / kBlocksPerGroup;
  };
  std::vector<uint64_t> groups;
  for (const Extent& extent : leaf) {
    const uint64_t from = std::max(extent.file_block, first);
    const uint64_t to = std::min(EndOf(extent), end);
    if (from >= to) continue;
    const Extent part = Cut(extent, from, to);
    const uint64_t last_group = group_of(part.pool_block + part.length - 1);
    for (uint64_t group = group_of(part.pool_block); group <= last_group; ++group) {
      if (std::find(groups.begin(), groups.end(), group) != groups.end()) continue;
      if (groups.size() == kMaxFreedGroups) {
        const BlockNo start = geometry.first_data_block() + group * kBlocksPerGroup;
        return start <= part.pool_block ? from : from + (start - part.pool_block);
      }
      groups.push_back(group);
    }
  }
  return end;
}

// Changes one leaf; returns the first block of the change that is not done.
Result<uint64_t> ChangeLeaf(Tx& tx, Allocator& allocator, InodeDisk& inode, const Change& change) {
  ExtentEditor editor(tx, allocator, inode);
  MIRDAX_TRY(editor.Load(change.first));
  uint64_t stop = std::min(change.end, editor.leaf_keys().end);
  if (change.action == Action::kFree)
    stop = FreeLimit(editor.leaf(), change.first, stop, tx.reader().geometry());
  int64_t delta = 0;
  bool changed = false;
  ExtentList result;
  const auto insert = [&] {
    if (!change.insert || changed) return;
    Append(result, Cut(*change.insert, change.first, stop));
    delta += static_cast<int64_t>(stop - change.first);
    changed = true;
  };
  for (const Extent& extent : editor.leaf()) {
    const uint64_t from = std::max(extent.file_block, change.first);
    const uint64_t to = std::min(EndOf(extent), stop);
    if (extent.file_block >= stop) insert();
    if (from >= to) {
      Append(result, extent);
      continue;
    }
    if (extent.file_block < from) Append(result, Cut(extent, extent.file_block, from));
    Extent part = Cut(extent, from, to);
    if (change.action == Action::kFree) {
      insert();
      editor.FreeData({part.pool_block, part.length});
      delta -= static_cast<int64_t>(part.length);
      changed = true;
    } else {
      part.flags = change.action == Action::kUnwrite ? kExtentUnwritten : 0;
      changed = changed || part.flags != extent.flags;
      Append(result, part);
    }
    if (to < EndOf(extent)) Append(result, Cut(extent, to, EndOf(extent)));
  }
  insert();
  if (changed) {
    MIRDAX_TRY(editor.StoreLeaf(std::move(result)));
    MIRDAX_TRY(editor.Apply(inode, delta));
  }
  return stop;
}

}  // namespace

Result<Mapping> ExtentTree::Find(MetaReader& reader, const InodeDisk& inode, uint64_t file_block) {
  MIRDAX_CHECK(file_block < kMaxFileBlocks);
  Mapping found;
  MIRDAX_TRY(Walk(reader, inode, file_block, kMaxFileBlocks, [&](const Mapping& mapping) {
    found = mapping;
    return false;
  }));
  return found;
}

Status ExtentTree::Walk(MetaReader& reader, const InodeDisk& inode, uint64_t first, uint64_t end,
                        const Visit& visit) {
  MIRDAX_CHECK(first <= end && end <= kMaxFileBlocks);
  uint64_t done = first;  // visited up to here
  for (uint64_t at = first; at < end;) {
    MIRDAX_ASSIGN(const Leaf leaf, Descend(reader, inode, at));
    const auto extents = leaf.view.extents();
    auto next = std::upper_bound(extents.begin(), extents.end(), at,
                                 [](uint64_t block, const Extent& e) { return block < EndOf(e); });
    for (; next != extents.end() && next->file_block < end; ++next) {
      const uint64_t from = std::max(next->file_block, first);
      if (done < from && !visit({done, from - done, 0, false})) return {};
      const Extent part = Cut(*next, from, std::min(EndOf(*next), end));
      done = EndOf(part);
      if (!visit({from, part.length, part.pool_block, (part.flags & kExtentUnwritten) != 0}))
        return {};
    }
    if (next != extents.end()) break;
    at = leaf.view.keys().end;
  }
  if (done < end) visit({done, end - done, 0, false});
  return {};
}

Result<uint64_t> ExtentTree::Map(Tx& tx, InodeDisk& inode, const Extent& extent) {
  MIRDAX_CHECK(extent.length > 0 && EndOf(extent) <= kMaxFileBlocks &&
               tx.reader().geometry().IsDataRange(extent.pool_block, extent.length));
  return ChangeLeaf(tx, allocator_, inode,
                    {extent.file_block, EndOf(extent), Action::kFree, extent});
}

Result<uint64_t> ExtentTree::Remove(Tx& tx, InodeDisk& inode, uint64_t first, uint64_t end) {
  end = std::min(end, kMaxFileBlocks);
  if (first >= end) return end;
  return ChangeLeaf(tx, allocator_, inode, {first, end, Action::kFree, std::nullopt});
}

Result<uint64_t> ExtentTree::SetUnwritten(Tx& tx, InodeDisk& inode, uint64_t first, uint64_t end,
                                          bool unwritten) {
  end = std::min(end, kMaxFileBlocks);
  if (first >= end) return end;
  return ChangeLeaf(tx, allocator_, inode,
                    {first, end, unwritten ? Action::kUnwrite : Action::kWrite, std::nullopt});
}

}  // namespace mirdax
