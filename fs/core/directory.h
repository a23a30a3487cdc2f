// SPDX-License-Identifier: BSD-2-Clause
// Names of a directory: a B+tree keyed by DirKey (layout.h), which is also the readdir cookie.
//
//  D1 keys are unique in the directory and never change while the name exists: a cookie stays good
//     across inserts, removals, splits and merges.
//  D2 InodeDisk::size and blocks count the tree's blocks (and blocks the xattr block too).
//  D3 a change is planned in DRAM first (BlockEdit): a full pool or a damaged tree fails with
//     nothing changed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/core/transaction.h"
#include "fs/format/dir_hash.h"

namespace mirdax {

struct DirSlot {
  Ino ino = 0;
  uint8_t type = 0;  // DT_*
  DirKey key = 0;    // cookie
};

struct DirName {
  std::string name;
  DirSlot slot;
};

// Metadata blocks that one changing call touches, the inode's own not counted.
inline constexpr uint32_t kDirectoryCredits = 20;

// Changes are made to `dir` in DRAM; the caller writes it (InodeTable::Write) in the same
// transaction. Link counts, times and "." and ".." are the caller's.
//
// Errors:  kNoSpace, kBusy as Allocator::Reserve, with nothing changed; kCorrupt (block, what).
// Threads: reads with the directory's lock shared, changes with it exclusive. Locks: none.
class Directory {
 public:
  Directory(Allocator& allocator, const HashSeed& seed) : allocator_(allocator), seed_(seed) {}

  // kNotFound (without a message) when there is no such name.
  Result<DirSlot> Lookup(MetaReader& reader, const InodeDisk& dir, std::string_view name) const;

  // Returns the new entry's key. kExists; kNoSpace also when kDirCollisions names share one hash.
  // REQUIRES: 1 <= name.size() <= kMaxNameLength, no '/', no NUL, neither "." nor "..".
  Result<DirKey> Insert(Tx& tx, InodeDisk& dir, std::string_view name, Ino ino, uint8_t type);

  // Returns what was removed. kNotFound.
  Result<DirSlot> Remove(Tx& tx, InodeDisk& dir, std::string_view name);

  // Points the name to another inode in place, key and cookie unchanged; needs no space. Returns
  // what it was. kNotFound.
  Result<DirSlot> Replace(Tx& tx, const InodeDisk& dir, std::string_view name, Ino ino,
                          uint8_t type);

  // Up to `max` names with keys above `after`, by key; empty at the end.
  Result<std::vector<DirName>> Next(MetaReader& reader, const InodeDisk& dir, DirKey after,
                                    size_t max) const;

  static uint64_t EntryCount(const InodeDisk& dir) noexcept;

 private:
  Allocator& allocator_;
  const HashSeed seed_;
};

}  // namespace mirdax
