// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/recovery.h"

#include "fs/base/mutant.h"
#include "fs/core/replay.h"

namespace mirdax {

Result<RecoveryReport> RecoverPool(Pool& pool, PrivateStore& private_store, bool any_role) {
  const PrivateBlock before = private_store.Get();
  if (pool.blank() && before.state == CopyState::kFilling) {
    return Fail(ErrorCode::kInvalid,
                "{}: a mirror whose first fill was cut off; serve it with mirdax-mirrord and name "
                "it in the mirror= option of a mount, which fills it",
                pool.path());
  }
  if (pool.blank() || before.state == CopyState::kBlank) {
    return Fail(ErrorCode::kInvalid,
                "{}: a mirror that was never filled; serve it with mirdax-mirrord and name it in "
                "the mirror= option of a mount",
                pool.path());
  }
  if (!any_role && before.role != Role::kPrimary) {
    return Fail(ErrorCode::kInvalid,
                "{}: a mirror, not a primary; to go on with this copy run: mirdax promote {}",
                pool.path(), pool.path());
  }
  if (!any_role && before.state != CopyState::kConsistent) {
    return Fail(ErrorCode::kInvalid,
                "{}: this copy was being filled and is not complete; let its primary fill it",
                pool.path());
  }
  RecoveryReport report;
  report.from = before.tail;
  MIRDAX_ASSIGN(report.to, ReadCommitWord(pool.region(), pool.geometry(), before.tail));
  report.bytes = report.to - report.from;
  if (report.bytes == 0) return report;
  const auto store_tail = [&] {
    return private_store.Update([&](PrivateBlock& block) { block.tail = report.to; });
  };
  if (Mutated(Mutant::kReplayTailFirst)) MIRDAX_TRY(store_tail());
  MIRDAX_TRY(
      ReplayJournal(pool.region(), pool.geometry(), report.from, report.to, &report.records));
  if (!Mutated(Mutant::kReplayTailNotStored)) MIRDAX_TRY(store_tail());
  return report;
}

}  // namespace mirdax
