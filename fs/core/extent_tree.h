// SPDX-License-Identifier: BSD-2-Clause
// Maps blocks of a file to blocks of the pool: a B+tree whose root is the inode's payload.
//
// A change is planned in DRAM (BlockEdit): every node on the way is read and checked, and every new
// node reserved, before the first Tx::Modify(); so a full pool or a damaged tree fails with nothing
// changed. One call changes one leaf (and what that implies above it) and says where to go on: a
// transaction stays small, however large the file.
//
//  E1 extents ascend, do not overlap, and lie wholly in the key range of their leaf; no two
//     neighbours in a leaf could be one.
//  E2 InodeDisk::blocks counts mapped blocks and tree nodes.
//  E3 (R2) what a change unmaps, blocks and nodes, is freed by the same transaction.
#pragma once

#include <functional>
#include <span>

#include "fs/core/allocator.h"
#include "fs/core/transaction.h"

namespace mirdax {

// Blocks [file_block, file_block + length): mapped at pool_block, or a hole (pool_block 0).
struct Mapping {
  uint64_t file_block = 0;
  uint64_t length = 0;
  BlockNo pool_block = 0;
  bool unwritten = false;  // allocated, reads as zeros

  bool hole() const noexcept { return pool_block == 0; }
  friend bool operator==(const Mapping&, const Mapping&) = default;
};

// Metadata blocks that one changing call touches, the inode's own not counted.
inline constexpr uint32_t kExtentCredits = 40;

// Changes are made to `inode` in DRAM; the caller writes it (InodeTable::Write) in the same
// transaction. On failure `inode` is as before, unless the filesystem stopped (kShutdown follows).
//
// Units:   blocks of kBlockSize.
// Errors:  kNoSpace, kBusy as Allocator::Reserve, with nothing changed; kCorrupt (block, what).
// Threads: reads with the inode's lock shared, changes with it exclusive. Locks: none of its own.
class ExtentTree {
 public:
  explicit ExtentTree(Allocator& allocator) : allocator_(allocator) {}

  // What `file_block` is part of, from there on: to the end of its extent, or of the hole (up to
  // kMaxFileBlocks). REQUIRES: file_block < kMaxFileBlocks.
  static Result<Mapping> Find(MetaReader& reader, const InodeDisk& inode, uint64_t file_block);

  // Visits [first, end) in order, holes included, cut to the range, until `visit` returns false.
  // Each leaf is read once.
  using Visit = std::function<bool(const Mapping&)>;
  static Status Walk(MetaReader& reader, const InodeDisk& inode, uint64_t first, uint64_t end,
                     const Visit& visit);

  // The changes below work through a range front to back. They return the first block that is not
  // done yet: the end of the range when all is done, else call again (in the same transaction if
  // it has the credits, or in another).

  // Maps `extent`. What was mapped there is freed. The extent's blocks are in use or about to be
  // (the caller calls Allocator::Use() on them in this transaction).
  // REQUIRES: extent.length > 0, inside the data area and the largest file.
  Result<uint64_t> Map(Tx& tx, InodeDisk& inode, const Extent& extent);

  // Unmaps [first, end) and frees its blocks.
  Result<uint64_t> Remove(Tx& tx, InodeDisk& inode, uint64_t first, uint64_t end);

  // Makes what is mapped in [first, end) unwritten or written; holes stay holes.
  Result<uint64_t> SetUnwritten(Tx& tx, InodeDisk& inode, uint64_t first, uint64_t end,
                                bool unwritten);

 private:
  Allocator& allocator_;
};

}  // namespace mirdax
