// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/remount.h"

#include <fmt/format.h>

#include <vector>

#include "replicator/epochs.h"
#include "tests/crash/durable_private.h"
#include "tests/crash/executor.h"
#include "tests/crash/mounted_image.h"
#include "tests/crash/observation.h"
#include "tests/crash/replica_set.h"

namespace mirdax::crash {
namespace {

// Legal is only what another copy showed.
class SameAs final : public LegalStates {
 public:
  explicit SameAs(const Observation& shown) : shown_(shown) {}
  std::optional<std::string> Judge(const Observation& seen, Moment) const override {
    if (auto bad = SpaceDiffers(seen)) return bad;
    return Differs(seen, shown_);
  }

 private:
  const Observation& shown_;
};

ReplicaOptions ReplicasOf(uint64_t seed) {
  constexpr size_t kInlineLimits[] = {0, 256, 16384};
  return {.seed = seed, .inline_limit = kInlineLimits[seed % std::size(kInlineLimits)]};
}

std::string Words(std::string_view step, const Error& error) {
  return fmt::format("{}: {} ({})", step, error.message, ErrorCodeName(error.code));
}

// Possible on every volume, however full.
Status ChangeAndSync(Volume& volume) {
  Executor executor(volume);
  MIRDAX_TRY(executor.Do({.kind = OpKind::kChmod, .path = "/", .mode = 0703}));
  MIRDAX_TRY(executor.Do({.kind = OpKind::kSyncAll}));
  return {};
}

// Of all copies.
class Level {
 public:
  explicit Level(MirroredPool& set) : set_(set) {
    set_.primary().region().Begin();
    for (const auto& mirror : set_.mirrors()) mirror->Begin();
  }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  ~Level() {
    set_.primary().region().Undo();
    for (const auto& mirror : set_.mirrors()) mirror->Undo();
  }

 private:
  MirroredPool& set_;
};

}  // namespace

// W1
std::optional<std::string> Remount::CheckListed(Moment moment, uint64_t seed) {
  const auto primary = PrivateStore::Open(set_.primary().region());
  if (!primary) return Words("open", primary.error());
  const PrivateBlock list = (*primary)->Get();
  for (size_t i = 0; i < set_.mirrors().size(); ++i) {
    ImageRegion& region = *set_.mirrors()[i];
    const auto mirror = PrivateStore::Open(region);
    if (!mirror) return Words(fmt::format("open mirror {}", i), mirror.error());
    const PrivateBlock block = (*mirror)->Get();
    if (!ListsInSync(list, block)) continue;
    const EpochRelation relation = CompareEpochs(HistoryOf(block), HistoryOf(list));
    if (relation != EpochRelation::kSame && relation != EpochRelation::kBehind)
      return fmt::format("mirror {} is on the list of epoch {}, and in epoch {}", i,
                         ToString(CurrentEpoch(list)), ToString(CurrentEpoch(block)));
    Checker checker(region, legal_, stats_, &takeover_);
    CheckDepth depth;
    depth.takeover.serve = seed % 3 == 0;
    if (const Reason bad = checker.Check(moment, depth))
      return fmt::format("mirror {}, which the primary lists in sync, promoted: {}", i, *bad);
  }
  return std::nullopt;
}

// W3
std::optional<std::string> Remount::PromoteEach(const Observation& shown,
                                                const PrivateBlock& list) {
  std::vector<EpochId> epochs;
  for (const EpochEntry& entry : HistoryOf(list)) epochs.push_back(entry.epoch);
  const Takeover takeover(std::move(epochs));
  const SameAs same(shown);
  for (size_t i = 0; i < set_.mirrors().size(); ++i) {
    ImageRegion& region = *set_.mirrors()[i];
    const auto store = PrivateStore::Open(region);
    if (!store) return Words(fmt::format("open mirror {}", i), store.error());
    if (!ListsInSync(list, (*store)->Get()))
      return fmt::format("mirror {} is in sync, and not on the list", i);
    Checker checker(region, same, stats_, &takeover);
    if (const Reason bad = checker.Check({}, {}))
      return fmt::format("mirror {}, in sync again and promoted: {}", i, *bad);
  }
  return std::nullopt;
}

std::optional<std::string> Remount::MountAll(Moment moment, uint64_t seed) {
  const Level level(set_);
  Observation shown;
  PrivateBlock list;
  {
    ReplicaSet replicas(set_.mirrors(), ReplicasOf(seed));
    if (const Status served = replicas.Serve(); !served)
      return Words("a mirror's daemon", served.error());
    const auto mounted = MountedImage::Open(set_.primary().region());
    if (!mounted) return Words("open", mounted.error());
    MountedImage& primary = **mounted;
    if (const Status done = primary.Recover(); !done) return Words("recovery", done.error());
    auto sink = replicas.Connect(primary);
    if (!sink) return Words("mount with mirrors", sink.error());
    const ReplicaSet::Replication& replication = **sink;
    if (const Status done = primary.Mount(std::move(*sink)); !done)
      return Words("mount", done.error());
    const Result<Observation> seen = Observe(primary.volume());
    if (!seen) return Words("reading everything", seen.error());
    if (const Reason bad = legal_.Judge(*seen, moment)) return bad;
    if (const Status done = ChangeAndSync(primary.volume()); !done)
      return Words("a sync", done.error());
    for (size_t i = 0; i < set_.mirrors().size(); ++i) {
      if (const std::string why = replication.WhyOut(i); !why.empty())
        return fmt::format("mirror {} does not come back: {}", i, why);
    }
    const Result<Observation> last = Observe(primary.volume());
    if (!last) return Words("reading everything", last.error());
    shown = *last;
    if (seed % 2 == 0) {
      if (const Status done = primary.volume().Unmount(); !done)
        return Words("unmount", done.error());
    }
    list = primary.private_store().Get();
  }
  return PromoteEach(shown, list);
}

std::optional<std::string> Remount::Check(Moment moment, uint64_t seed) {
  if (Reason bad = CheckListed(moment, seed)) return bad;
  return MountAll(moment, seed);
}

}  // namespace mirdax::crash
