// SPDX-License-Identifier: BSD-2-Clause
// Stores file data: in place where the file has written blocks, into reserved blocks elsewhere.
//
//  W1 a block new to the file is whole before anybody can see it: zeros around what was written.
//  W2 bytes of a block beyond the end of file are never shown: whoever grows the size zeroes them
//     first.
//  W3 what was stored is in Inode::pending or Inode::dirty, so the next sync covers it (Inode, N3).
#pragma once

#include <span>
#include <vector>

#include "fs/core/file_map.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// Errors:  kNoSpace and kBusy as Allocator::Reserve, with nothing changed; kFileTooBig; kIo where
// the
//          medium refuses a block. One that was new to the file stays reserved then, so that nobody
//          else gets it before the next mount.
// Threads: any. Locks: the caller holds the inode's, exclusively. Takes no Tx.
class FileWriter {
 public:
  explicit FileWriter(VolumeContext& volume) : volume_(volume) {}

  // Stores `bytes` at `offset`, growing the size; returns how many were stored, less than asked for
  // only when space ran out, the largest size was reached or the medium refused the rest. Times are
  // set.
  Result<uint64_t> Write(Inode& inode, uint64_t offset, std::span<const std::byte> bytes)
      MIRDAX_REQUIRES(inode.mutex);

  // Makes [begin, end) read as zeros by storing zeros where there is data; holes and unwritten
  // blocks stay.
  Status Zero(Inode& inode, uint64_t begin, uint64_t end) MIRDAX_REQUIRES(inode.mutex);

  // kIo when the medium refuses bytes that Zero() would store to: to be asked before other changes.
  Status FindBad(const Inode& inode, uint64_t begin, uint64_t end)
      MIRDAX_REQUIRES_SHARED(inode.mutex);

  // Zeroes the shown-next rest of the block that holds the old end of file.
  Status ZeroBeyondEnd(Inode& inode, uint64_t until) MIRDAX_REQUIRES(inode.mutex);
  // The size becomes `size`, which is not below the current one.
  Status Grow(Inode& inode, uint64_t size) MIRDAX_REQUIRES(inode.mutex);

  // Gives every hole of `segments` reserved blocks, as far as space goes: segments are split by the
  // runs that were found, their state stays kHole, pool_block is set. Stops at the first hole that
  // gets nothing and cuts `segments` there; an error if that is the first of all blocks.
  Status ReserveHoles(const Inode& inode, std::vector<Segment>* segments)
      MIRDAX_REQUIRES_SHARED(inode.mutex);
  void UnreserveHoles(const std::vector<Segment>& segments);

 private:
  // Returns how many blocks of the segment come before the first that the medium refuses.
  uint64_t StoreSegment(Inode& inode, const Segment& segment, uint64_t offset,
                        std::span<const std::byte> bytes) MIRDAX_REQUIRES(inode.mutex);
  // Likewise, of what was stored to before.
  uint64_t GoodBlocks(const Segment& segment) const;
  bool IsGood(BlockNo block) const;

  VolumeContext& volume_;
};

}  // namespace mirdax
