// SPDX-License-Identifier: BSD-2-Clause
// A change of a tree, planned in DRAM and then made in one go.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/core/transaction.h"

namespace mirdax {

// A private copy-on-write overlay of node blocks, for one operation. While planning, blocks are
// read, copied, made and given up; nothing of the transaction changes, and what is new is only
// reserved. Apply() then makes the change; a plan that is dropped leaves nothing behind. So an
// operation fails on a full pool or a damaged node before it changed anything.
//
// Apply() journals only the lines that differ: a whole node may be rewritten in DRAM to change one
// entry of it.
//
// Errors:  as MetaReader::Read and Allocator::Reserve while planning. If Apply() fails, the
//          transaction was aborted: the filesystem stops.
// Threads: one, with the inode's lock held exclusively and a Tx. Locks: those of the allocator.
class BlockEdit {
 public:
  BlockEdit(Tx& tx, Allocator& allocator, Ino owner)
      : tx_(tx), allocator_(allocator), owner_(owner) {}
  ~BlockEdit();
  BlockEdit(const BlockEdit&) = delete;
  BlockEdit& operator=(const BlockEdit&) = delete;

  // The block as the plan has it. Good until it is discarded. Unchecked, but for the reader's
  // checks: make a view of it.
  Result<std::span<const std::byte>> Read(BlockNo block);
  // The plan's copy of a block that was read or created.
  std::span<std::byte, kBlockSize> Edit(BlockNo block);
  // A new block, zero but for its header (count 0), close to `near`.
  Result<BlockNo> Create(BlockType type, uint16_t level, BlockNo near);
  // The block leaves the tree.
  void Discard(BlockNo block);
  // Blocks of data that the change unmaps.
  void FreeData(BlockRun run);

  // Blocks created less blocks discarded.
  int64_t block_delta() const noexcept { return block_delta_; }

  Status Apply();

 private:
  using Image = std::array<std::byte, kBlockSize>;
  struct Entry {
    BlockNo block = 0;
    BlockView view;                // null: created by this plan
    std::unique_ptr<Image> image;  // null: only read
  };

  Entry& Find(BlockNo block);
  Status ApplyAll();
  Status StoreChanges(const Entry& entry);

  Tx& tx_;
  Allocator& allocator_;
  const Ino owner_;
  std::vector<Entry> entries_;  // a handful: searched one by one
  std::vector<BlockNo> discarded_;
  std::vector<BlockRun> freed_;
  int64_t block_delta_ = 0;
  bool applied_ = false;
};

}  // namespace mirdax
