// SPDX-License-Identifier: BSD-2-Clause
// What every user of a pool does first: bring home up to the commit word.
#pragma once

#include <cstdint>

#include "fs/base/result.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"

namespace mirdax {

struct RecoveryReport {
  uint64_t records = 0;
  uint64_t bytes = 0;  // of journal
  Lsn from = 0;        // the tail as it was found
  Lsn to = 0;          // the commit word: the tail now
};

// Replays [tail, commit) and persists tail = commit. Leaves role, state and `clean` alone.
// Idempotent, also when it is interrupted anywhere: the tail moves last (I3).
//
// Errors:  kInvalid: a copy that was never filled, or (unless `any_role`) is a mirror or has not
//          been filled completely; the message says what to do. kCorrupt: commit word or a record.
//          kIo: not durable; may be tried again.
Result<RecoveryReport> RecoverPool(Pool& pool, PrivateStore& private_store, bool any_role = false);

}  // namespace mirdax
