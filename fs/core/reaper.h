// SPDX-License-Identifier: BSD-2-Clause
// Frees inodes that have no name and no user left.
#pragma once

#include <atomic>
#include <unordered_set>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/core/file_space.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// An inode without links is on the orphan list from the transaction that took its last link until
// the one that frees it, so a crash at any moment leaves it to the next mount.
//
// "Count down to zero, then look whether it is doomed" (Release) and "doom it, then look at its
// count" (Doom, then Reap) cannot both miss each other; when both see it, the second finds it
// freed.
//
// Threads: every method by any. Locks: takes the inode's.
class Reaper {
 public:
  Reaper(VolumeContext& volume, FileSpace& space) : volume_(volume), space_(space) {}

  // The inode has lost its last link, or never had one. Called in the transaction that says so.
  void Doom(Ino ino) MIRDAX_EXCLUDES(mutex_);
  // It has a link again.
  void Pardon(Ino ino) MIRDAX_EXCLUDES(mutex_);

  // Frees `ino` if it is doomed and not looked up by anybody. Failures are logged: the orphan list
  // still has it, and the commit interval tries again. Called without locks.
  void Reap(Ino ino);
  // Frees what Reap() could not, and nobody has looked up since.
  void ReapLeft();
  // Subtracts from the lookup count; reaps at zero.
  void Release(Ino ino, uint64_t count);

  // Frees or trims what the last mount left.
  Status ReapAllAtMount();
  // Frees every doomed inode, whoever still counts it.
  void ReapAllAtUnmount();

 private:
  bool IsDoomed(Ino ino) MIRDAX_EXCLUDES(mutex_);
  std::vector<Ino> Doomed() MIRDAX_EXCLUDES(mutex_);
  Status Free(Inode& inode) MIRDAX_REQUIRES(inode.mutex);
  Status FreeOrTrim(Ino ino);
  Status ReapReferenced(Inode& inode, bool even_if_counted) MIRDAX_EXCLUDES(inode.mutex);

  VolumeContext& volume_;
  FileSpace& space_;
  Mutex mutex_;
  std::unordered_set<Ino> doomed_ MIRDAX_GUARDED_BY(mutex_);
  std::atomic<size_t> doomed_count_{0};  // sequentially consistent, as LookupTable is
  std::atomic<bool> left_{false};        // a Reap() has failed
};

}  // namespace mirdax
