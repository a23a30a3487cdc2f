// SPDX-License-Identifier: BSD-2-Clause
// Makes a primary of a mirror copy.
#pragma once

#include <cstdint>

#include "fs/base/clock.h"
#include "fs/base/random.h"
#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"

namespace mirdax::ctl {

struct PromoteReport {
  EpochId before{};
  EpochId epoch{};
  Lsn commit = 0;                 // everything below is in the promoted filesystem
  uint64_t records_replayed = 0;  // that the mirror's daemon had not applied yet
  bool forced = false;            // the copy was not consistent
};

// Invariants:
//  P1 (R6) role, state, members and the new epoch change in one durable step, the last one: a power
//     cut before it leaves a mirror as it was (its journal may be applied further, which changes
//     nothing it says), after it a primary. Nobody acts on the new epoch before it is durable,
//     since nobody has the pool but this call: the lock of PoolAccess::kExclusive keeps the
//     mirror's daemon out, and with it every connection of an older primary.
//  P2 (R3) only records below the commit word are applied.
//  P3 (R7) a copy that was being filled is refused, unless `force`.
//
// REQUIRES: the pool is open with PoolAccess::kExclusive.
// Errors: kInvalid (a primary already, a witness, never filled, not consistent: what to do);
//         kCorrupt (commit word or journal); kIo. Nothing was promoted then.
Result<PromoteReport> Promote(Pool& pool, PrivateStore& private_store, bool force, Clock& clock,
                              Random& random);

}  // namespace mirdax::ctl
