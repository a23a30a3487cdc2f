// SPDX-License-Identifier: BSD-2-Clause
#include "tools/ctl/promote.h"

#include "fs/base/mutant.h"
#include "fs/core/recovery.h"

namespace mirdax::ctl {
namespace {

Status CheckPromotable(const Pool& pool, const PrivateBlock& block, bool force) {
  if (block.role == Role::kPrimary) {
    return Fail(ErrorCode::kInvalid,
                "{}: is a primary already (epoch {}); there is nothing to promote, mount it",
                pool.path(), CurrentEpoch(block).number);
  }
  if (block.role == Role::kWitness) {
    return Fail(ErrorCode::kInvalid, "{}: is a witness, it holds no data; promote a mirror",
                pool.path());
  }
  if (pool.blank() && block.state == CopyState::kFilling) {
    return Fail(ErrorCode::kInvalid,
                "{}: is a mirror whose first fill was cut off; there is nothing to promote, with "
                "--force neither; promote another copy, or let the primary fill this one",
                pool.path());
  }
  if (pool.blank() || block.state == CopyState::kBlank) {
    return Fail(ErrorCode::kInvalid,
                "{}: is a blank mirror that was never filled; there is nothing to promote, with "
                "--force neither; promote another copy",
                pool.path());
  }
  if (block.state != CopyState::kConsistent && !force && !Mutated(Mutant::kFillPromotable)) {
    return Fail(ErrorCode::kInvalid,
                "{}: was being filled and is not complete; promote another copy, or let the "
                "primary fill this one; only if every other copy is lost, --force makes a primary "
                "of what there is (then run fsck.mirdax, and expect losses)",
                pool.path());
  }
  return {};
}

}  // namespace

Result<PromoteReport> Promote(Pool& pool, PrivateStore& private_store, bool force, Clock& clock,
                              Random& random) {
  const PrivateBlock block = private_store.Get();
  MIRDAX_TRY(CheckPromotable(pool, block, force));
  MIRDAX_ASSIGN(const RecoveryReport recovered, RecoverPool(pool, private_store, true));
  PromoteReport report;
  report.before = CurrentEpoch(block);
  report.commit = recovered.to;
  report.records_replayed = recovered.records;
  report.forced = block.state != CopyState::kConsistent;
  const uint64_t id = random.Next64();
  const int64_t now = clock.Now().seconds;
  if (Mutated(Mutant::kPromoteBeforeEpoch))
    MIRDAX_TRY(private_store.Update([](PrivateBlock& next) { next.role = Role::kPrimary; }));
  MIRDAX_TRY(private_store.Update([&](PrivateBlock& next) {
    BeginEpoch(next, id, recovered.to, now);
    next.role = Role::kPrimary;
    next.state = CopyState::kConsistent;
    next.members = {};
    next.clean = 0;
  }));
  report.epoch = CurrentEpoch(private_store.Get());
  return report;
}

}  // namespace mirdax::ctl
