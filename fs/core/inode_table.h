// SPDX-License-Identifier: BSD-2-Clause
// Inodes on PM: slots of kInodeSize bytes, sixteen to a block.
#pragma once

#include "fs/core/transaction.h"

namespace mirdax {

inline constexpr uint32_t kInodeCredits = 1;  // metadata blocks that one Write() touches

// Reads and writes whole inodes. Write() stores only the 64-byte lines that differ, and the slot's
// checksum with them, so that a slot is always whole, in the overlay too, and Read() always checks.
//
// Errors:  kNotFound: no such slot, or a free one. kCorrupt: says which inode and what.
// Threads: any; a slot is guarded by its inode's lock. Locks: takes none of its own.
class InodeTable {
 public:
  // `reader` outlives the table.
  explicit InodeTable(MetaReader& reader) : reader_(reader) {}

  // The inode, after its checksum and CheckInode() (node_views.h).
  Result<InodeDisk> Read(Ino ino) const;

  // Stores `inode` in the slot of `inode.ino`; its magic and crc are set here. The slot's old
  // content does not matter: it may be free, or damaged.
  Status Write(Tx& tx, const InodeDisk& inode) const;

  // Zeroes the slot, but for its generation: the next user of the slot goes on from there.
  Status Clear(Tx& tx, Ino ino) const;

  // Generation left in a slot by Clear(), or that of the inode in it; any content is fine.
  Result<uint32_t> Generation(Ino ino) const;

 private:
  MetaReader& reader_;
};

}  // namespace mirdax
