// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/takeover.h"

#include <algorithm>

#include "replicator/epochs.h"
#include "replicator/mirror_copy.h"
#include "tests/crash/mounted_image.h"
#include "tools/ctl/promote.h"

namespace mirdax::crash {
namespace {

// Nobody connects.
class NoTargets final : public DataTargetFactory {
 public:
  Result<std::unique_ptr<DataTarget>> Listen(const std::string&, const Cookie&,
                                             std::span<std::byte>,
                                             std::shared_ptr<DataHandler>) override {
    return Fail(ErrorCode::kPeerLost, "no network");
  }
};

Status ServeOnce(Pool& pool, PrivateStore& private_store, Clock& clock, Random& random) {
  NoTargets targets;
  MIRDAX_ASSIGN(const auto copy, MirrorCopy::Open(pool, private_store, targets, clock, random));
  return copy->Apply();
}

}  // namespace

Status Takeover::CheckEpoch(EpochId epoch) const {
  if (std::ranges::find(epochs_, epoch) == epochs_.end()) return {};
  return Fail(ErrorCode::kCorrupt, "the copy is a primary in epoch {}, which is another's",
              ToString(epoch));
}

Result<bool> Takeover::Run(Region& region, const How& how) const {
  MIRDAX_ASSIGN(const auto pool, ImagePool::Open(region));
  MIRDAX_ASSIGN(auto store, PrivateStore::Open(region));
  const PrivateBlock block = store->Get();
  if (block.role == Role::kPrimary) {
    MIRDAX_TRY(CheckEpoch(CurrentEpoch(block)));
    return true;
  }
  StepClock clock;
  SeededRandom random(1000);
  if (how.serve) MIRDAX_TRY(ServeOnce(*pool, *store, clock, random));
  const bool whole = block.state == CopyState::kConsistent;
  if (!whole && !how.may_refuse)
    return Fail(ErrorCode::kCorrupt,
                "a copy that is on the in-sync list says it is not consistent");
  const auto report = ctl::Promote(*pool, *store, false, clock, random);
  if (report && !whole)
    return Fail(ErrorCode::kCorrupt, "a copy that is being filled was promoted");
  if (!report && whole) return Fail(report.error());
  if (!report) return false;
  MIRDAX_TRY(CheckEpoch(report->epoch));
  return true;
}

}  // namespace mirdax::crash
