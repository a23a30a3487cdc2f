// SPDX-License-Identifier: BSD-2-Clause
// Changes which blocks a file has: truncate, allocate, punch, zero.
//
//  P1 a truncation into a block that the committed size covers gives the file a fresh copy of that
//     block with a zero tail, in the transaction of the size: after a crash the old size still
//     shows the old bytes.
//  P2 blocks beyond the size exist only while the inode is an orphan (being trimmed) or were asked
//     for by Allocate (unwritten). Nothing is stored into a file that is being trimmed.
#pragma once

#include <unordered_set>
#include <vector>

#include "fs/core/file_writer.h"
#include "fs/core/syncer.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// Errors:  kNoSpace and kBusy as Allocator::Reserve, kNoMemory. Resize() has then changed nothing;
// of
//          Allocate() what took several transactions may be done in part.
// Threads: any. Locks: the caller holds the inode's, exclusively, and no Tx.
class FileSpace {
 public:
  FileSpace(VolumeContext& volume, FileWriter& writer, Syncer& syncer)
      : volume_(volume), writer_(writer), syncer_(syncer) {}

  // Times are set.
  Status Resize(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);
  Status Allocate(Inode& inode, AllocateMode mode, uint64_t offset, uint64_t length)
      MIRDAX_REQUIRES(inode.mutex);

  // Frees every block beyond `size`, which is not above the current one and becomes it; the inode
  // has its orphan bit while that takes more than one transaction.
  Status Trim(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);

  // An earlier truncation that failed half way left blocks beyond the size, with the file's old
  // bytes: frees them. To be called before anything is stored or mapped.
  Status FinishTrim(Inode& inode) MIRDAX_REQUIRES(inode.mutex);

  // Does that for those of which it failed. Called without locks.
  void TrimLeft() MIRDAX_EXCLUDES(untrimmed_mutex_);

  // Gives back what is pending in [first, end): nobody else ever knew it.
  void DropPending(Inode& inode, uint64_t first, uint64_t end) MIRDAX_REQUIRES(inode.mutex);
  // Forgets in-place stores from block `first` on. Only once nothing maps those blocks: while they
  // are mapped, their bytes are still owed to a sync (N3).
  void ForgetDirty(Inode& inode, uint64_t first) MIRDAX_REQUIRES(inode.mutex);

 private:
  // What was written before a change of size: all that is to stay, or only what was overwritten.
  Status StoreEarlier(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);
  Status GrowNow(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);
  Status Shrink(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);
  Status ReplaceTail(Inode& inode, uint64_t size, const Segment& tail) MIRDAX_REQUIRES(inode.mutex);
  Status Punch(Inode& inode, uint64_t begin, uint64_t end) MIRDAX_REQUIRES(inode.mutex);
  Status ZeroRange(Inode& inode, uint64_t begin, uint64_t end) MIRDAX_REQUIRES(inode.mutex);
  Status FillHoles(Inode& inode, uint64_t first, uint64_t end) MIRDAX_REQUIRES(inode.mutex);
  Status MapUnwritten(Inode& inode, const Segment& run) MIRDAX_REQUIRES(inode.mutex);

  VolumeContext& volume_;
  FileWriter& writer_;
  Syncer& syncer_;

  Mutex untrimmed_mutex_;  // a leaf
  std::unordered_set<Ino> untrimmed_ MIRDAX_GUARDED_BY(untrimmed_mutex_);
};

}  // namespace mirdax
