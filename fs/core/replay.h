// SPDX-License-Identifier: BSD-2-Clause
// Redo: applies committed journal records to home. The one recovery code: a mount runs it over
// [tail, commit) before anything else, a mirror daemon runs it in the background all the time,
// fsck runs it on a private view.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// A record that passed every check: magic, position, length, checksum, patches in home ranges only.
struct JournalRecord {
  RecordHeader header;
  std::vector<Patch> patches;
  std::vector<std::byte> bytes;  // the patches' bytes, in order
};

// Reads and checks the record at `lsn`, which must end at or below `limit`.
// Errors: kCorrupt (what is wrong, at which LSN), kIo (the medium refuses a part of it). Every byte
//         read is taken as hostile (R9).
Result<JournalRecord> ReadRecord(Region& region, const Geometry& geometry, Lsn lsn, Lsn limit);

// The commit word, checked against `tail`: kCorrupt unless tail <= commit <= tail + journal size
// and both are 64-aligned. kIo: the medium refuses it.
Result<Lsn> ReadCommitWord(Region& region, const Geometry& geometry, Lsn tail);

// Stores the patches of every record in [from, to) to home, in order, and makes them durable.
// Idempotent. Stores nothing beyond the first record that fails a check. Returns `to`; adds the
// number of records to `records` where that is given.
// R3: never called with `to` above the commit word.
Result<Lsn> ReplayJournal(Region& region, const Geometry& geometry, Lsn from, Lsn to,
                          uint64_t* records = nullptr);

}  // namespace mirdax
