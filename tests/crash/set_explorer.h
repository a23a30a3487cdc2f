// SPDX-License-Identifier: BSD-2-Clause
// Visits the crash states of a set: runs a workload once, then promotes images of every crash point
// of every mirror, mounts images of every one of the primary, without its mirrors, and brings the
// whole set back after power cuts of all copies.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tests/crash/explorer.h"
#include "tests/crash/set_recording.h"

namespace mirdax::crash {

// Threads: one at a time.
class SetExplorer {
 public:
  // REQUIRES: all outlive the object. `set` has as many mirrors as the scenario wants.
  SetExplorer(MirroredPool& set, Scenario scenario, DistinctImages& distinct, ExploreStats& stats,
              Explorer::OnFailure on_failure)
      : set_(set),
        scenario_(scenario),
        distinct_(distinct),
        stats_(stats),
        on_failure_(std::move(on_failure)) {}

  // The first violation, if there is one. Workloads with clients run where nothing is lost
  // (MirrorsOf() is 1): a scenario meets an operation, and they have several at once.
  std::optional<Failure> Explore(const Workload& workload, const ExploreOptions& options);

 private:
  std::optional<Failure> ExploreOne(const Workload& workload, const ExploreOptions& options);
  std::optional<Failure> ExploreClients(const Workload& workload, const ExploreOptions& options);
  // As a mount with -o degraded that names no mirror: none may stay on the list (R5). The sink is
  // good until the next call.
  Result<std::unique_ptr<ReplicationSink>> ConnectAlone(MountedImage& primary);
  Failure FailedRun(const Workload& workload, const Error& why);
  // `copies`: the primary, then the mirrors. `ran`: what was recorded of `workload`.
  std::optional<Failure> ExploreAll(const Workload& workload, const Workload& ran,
                                    const std::vector<CopyLog>& copies, const LegalStates& legal,
                                    const Takeover& takeover, ExploreOptions options);

  MirroredPool& set_;
  const Scenario scenario_;
  DistinctImages& distinct_;
  ExploreStats& stats_;
  const Explorer::OnFailure on_failure_;
  std::optional<ReplicaSet> alone_;  // of no mirrors
};

}  // namespace mirdax::crash
