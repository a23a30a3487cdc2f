// SPDX-License-Identifier: BSD-2-Clause
// Plans the change of one leaf of an extent tree, and of the nodes above it.
#pragma once

#include <vector>

#include "fs/core/block_edit.h"
#include "fs/format/node_views.h"

namespace mirdax {

using ExtentList = std::vector<Extent>;  // of an index node: an ExtentIndex in an Extent's shape

// Load() a leaf, StoreLeaf() its new content once, Apply(). Splits what overflows, frees what is
// empty, merges what has become small with a neighbour, grows and shrinks the height.
//
// A child's range begins with its key in the parent, whatever the child holds: so changes of a leaf
// never move keys of its ancestors. (The first child of a node begins where the node does.)
class ExtentEditor {
 public:
  ExtentEditor(Tx& tx, Allocator& allocator, const InodeDisk& inode)
      : tx_(tx), edit_(tx, allocator, inode.ino), inode_(inode) {}

  // Reads and checks the way to the leaf that holds `file_block`.
  Status Load(uint64_t file_block);
  const ExtentList& leaf() const noexcept { return path_.back().entries; }
  KeyRange leaf_keys() const noexcept { return path_.back().place.keys; }

  // Data blocks that the new content no longer maps, and how many it maps in addition.
  void FreeData(BlockRun run) { edit_.FreeData(run); }

  // REQUIRES: sorted, in leaf_keys(), at most kMaxGrowth more than leaf().
  Status StoreLeaf(ExtentList entries) { return Store(path_.size() - 1, std::move(entries)); }
  static constexpr size_t kMaxGrowth = 2;

  // Makes the change. `inode` gets the new root and number of blocks; `data_delta` is the change of
  // mapped blocks.
  Status Apply(InodeDisk& inode, int64_t data_delta);

 private:
  struct Step {
    NodePlace place;  // self 0: the root
    ExtentList entries;
    size_t child = 0;  // index of the next step's node
  };

  Status Store(size_t depth, ExtentList entries);
  Status StoreRoot(uint16_t level, ExtentList entries);
  Status Split(size_t depth, ExtentList entries);
  Result<bool> TryMerge(size_t depth, const ExtentList& entries, size_t neighbour);
  Result<ExtentList> ReadNode(const NodePlace& place);
  void Write(BlockNo block, std::span<const Extent> entries);
  Status LowerRoot();

  Tx& tx_;
  BlockEdit edit_;
  InodeDisk inode_;  // the plan's copy
  std::vector<Step> path_;
};

}  // namespace mirdax
