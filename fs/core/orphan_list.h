// SPDX-License-Identifier: BSD-2-Clause
// Which inodes must be freed or trimmed at the next mount: one bit an inode, in a bitmap on PM.
//
// A bitmap and not a chain through the inodes: a chain would make one unlink change an inode that
// another lock guards, would need the predecessor for every removal, and could loop in a hostile
// image. A bit has none of that, and as many inodes may be orphans as there are.
#pragma once

#include "fs/base/mutex.h"
#include "fs/core/transaction.h"

namespace mirdax {

inline constexpr uint32_t kOrphanCredits = 1;

// An orphan is an inode without links that somebody still uses (free it), or an inode with links
// whose blocks beyond its size are being freed in several transactions (trim it).
//
// Invariant: bit i is 1 exactly when inode i has kInodeOrphan in its flags; both change in one
// transaction.
//
// Threads: every method by any. Locks: an inner mutex, taken with inode locks and a Tx held (as an
// allocation group's); nothing but the overlay is entered with it.
class OrphanList {
 public:
  // Sets the bit, and the flag in `inode`, which the caller then writes in the same transaction.
  // Already an orphan: nothing happens. REQUIRES: inode.ino is in the table.
  Status Add(Tx& tx, InodeDisk& inode);
  // Clears both. Not an orphan: nothing happens.
  Status Remove(Tx& tx, InodeDisk& inode);

  // The lowest orphan above `after`, or 0. At mount: Next(reader, 0), and so on. A bit of an inode
  // that does not exist is returned like any other: the caller reads the inode and calls Drop().
  Result<Ino> Next(MetaReader& reader, Ino after);

  // Clears the bit of an inode that cannot be read or lacks the flag (a damaged pool).
  Status Drop(Tx& tx, Ino ino);

 private:
  Status Store(Tx& tx, Ino ino, bool value);

  Mutex mutex_;  // guards the bitmap's bytes
};

}  // namespace mirdax
