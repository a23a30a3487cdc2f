// SPDX-License-Identifier: BSD-2-Clause
// Plans the change of one leaf of a directory's tree, and of the nodes above it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "fs/core/block_edit.h"
#include "fs/format/node_views.h"

namespace mirdax {

// Load() a leaf, make one change, Apply(). As ExtentEditor, but the root is a block too, and leaves
// hold as many names as their bytes allow.
class DirectoryEditor {
 public:
  DirectoryEditor(Tx& tx, Allocator& allocator, const InodeDisk& dir);

  // Reads and checks the way to the leaf that holds `key`. An empty directory has none.
  Status Load(DirKey key);

  // REQUIRES: Load(entry.key), and no entry has that key.
  Status Insert(const DirEntryView& entry);
  // REQUIRES: Load(key), and the entry exists.
  Status Remove(DirKey key);
  // Changes what an entry points to. REQUIRES: as Remove().
  void Replace(DirKey key, Ino ino, uint8_t type);

  // Makes the change; `entries_delta` is the change of the number of names.
  Status Apply(InodeDisk& dir, int entries_delta);

 private:
  using IndexList = std::vector<DirIndexEntry>;
  using EntryList = std::vector<DirEntryView>;
  struct Step {
    NodePlace place;
    IndexList entries;
    size_t child = 0;  // index of the next step's node
  };
  // Two neighbouring children of a node, one of them on the path.
  struct Pair {
    BlockNo left = 0;
    BlockNo right = 0;
    size_t right_index = 0;
    DirKey separator = 0;  // the right one's key
    NodePlace neighbour;   // the one that is not on the path
    bool neighbour_is_right = false;
  };

  const Geometry& geometry() const noexcept { return tx_.reader().geometry(); }

  // Lists of children by depth: 0 is the tree itself, as if a node above the root held only the
  // root; depth d > 0 is path_[d - 1]. `level` is always the children's.
  IndexList ChildrenAt(size_t depth) const;
  size_t ChildAt(size_t depth) const noexcept { return depth == 0 ? 0 : path_[depth - 1].child; }
  Status StoreChildren(size_t depth, IndexList entries, uint16_t level);
  Status AddChild(size_t depth, DirIndexEntry entry, uint16_t level);
  Status DropChild(size_t depth, size_t child, uint16_t level);
  Status SplitIndex(size_t depth, const IndexList& entries);
  Result<bool> TryMergeIndex(size_t depth, const IndexList& entries, size_t neighbour);
  Pair PairOf(size_t depth, size_t neighbour, uint16_t level) const;
  void WriteIndex(BlockNo block, std::span<const DirIndexEntry> entries);
  Status LowerRoot();

  static EntryList EntriesOf(const DirLeafView& leaf);
  Status SplitLeaf(const DirLeafView& leaf, const DirEntryView& entry);
  Result<bool> TryMergeLeaf(const DirLeafView& leaf, DirKey without, size_t neighbour);
  void WriteLeaf(BlockNo block, const EntryList& entries);
  static void AddTo(std::span<std::byte, kBlockSize> image, const DirEntryView& entry);

  Tx& tx_;
  BlockEdit edit_;
  BlockNo root_;
  const Ino owner_;
  std::vector<Step> path_;  // index nodes, the root first; empty while the root is a leaf
  std::optional<NodePlace> leaf_;
};

}  // namespace mirdax
