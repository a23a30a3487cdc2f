// SPDX-License-Identifier: BSD-2-Clause
// Blocks of the data area and slots of the inode table.
//
// A block is, at any time, one of
//   free         bit 0 in the bitmap, not reserved, not quarantined
//   reserved     bit 0, owned in DRAM: pending data of a file, or set aside for a transaction
//   in use       bit 1 in the bitmap (as the overlay shows it)
//   quarantined  bit 0 in the overlay, freed by a transaction that is not yet stable everywhere
//   (R2)
//
//   free --Reserve--> reserved --Use(tx)--> in use --Free(tx)--> quarantined --OnStable--> free
//                     reserved --Unreserve--> free
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fs/core/transaction.h"

namespace mirdax {

class TransactionManager;

struct BlockRun {
  BlockNo start = 0;
  uint64_t length = 0;  // blocks
};

struct SpaceStats {
  uint64_t blocks_total = 0;
  uint64_t blocks_free = 0;       // free + quarantined: what statfs calls free
  uint64_t blocks_available = 0;  // free + quarantined - the reserve for metadata
  uint64_t inodes_total = 0;
  uint64_t inodes_free = 0;
};

// Who asks: data may not touch the reserve that keeps unlink, truncate and commit of pending data
// possible on a full pool.
enum class SpaceUse : uint8_t { kData, kMetadata };

// Errors:  kNoSpace. When quarantined blocks would help, Reserve() returns kBusy instead: the
// caller
//          lets go of its locks, calls Reclaim(), and tries again.
// Threads: every method by any. Locks: one allocation group at a time.
class Allocator {
 public:
  // Counts free blocks and inodes (one pass over the bitmaps).
  static Result<std::unique_ptr<Allocator>> Open(TransactionManager& transactions);
  virtual ~Allocator() = default;

  // Up to `count` blocks in one run, close behind `goal` (0: any), at least one. Free blocks right
  // at `goal` are always taken, few as they may be: they extend what the caller has. Else
  // contiguous space is preferred to nearness. A run never crosses a group's end.
  virtual Result<BlockRun> Reserve(uint64_t count, BlockNo goal, SpaceUse use) = 0;
  virtual void Unreserve(BlockRun run) = 0;
  // Makes reserved blocks in use.
  virtual Status Use(Tx& tx, BlockRun run) = 0;
  // Frees blocks in use. They go to quarantine until tx is stable. kCorrupt if one was not in use.
  virtual Status Free(Tx& tx, BlockRun run) = 0;

  // An unused inode number (the bit is set in `tx`), near the parent's. kBusy as Reserve(): end the
  // Tx (nothing was changed), Reclaim(), try again.
  virtual Result<Ino> AllocateInode(Tx& tx, Ino near) = 0;
  virtual Status FreeInode(Tx& tx, Ino ino) = 0;  // reusable once tx is stable
  virtual Result<bool> IsInodeInUse(Ino ino) = 0;

  // Makes quarantined blocks free if it can: checkpoints here and on the mirrors.
  // REQUIRES: no Tx held. kNoSpace when nothing was quarantined.
  virtual Status Reclaim() = 0;

  virtual SpaceStats stats() const = 0;
};

}  // namespace mirdax
