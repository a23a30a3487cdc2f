// SPDX-License-Identifier: BSD-2-Clause
// Visits the crash states of the mirrors of a set: runs a workload once, then promotes images of
// every crash point of every mirror.
#pragma once

#include <optional>
#include <utility>

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
  Failure FailedRun(const Workload& workload, const Error& why);
  // Reports a violation of mirror `number` into `failure`.
  Explorer ExplorerOf(size_t number, const Workload& workload, std::optional<Failure>& failure);

  MirroredPool& set_;
  const Scenario scenario_;
  DistinctImages& distinct_;
  ExploreStats& stats_;
  const Explorer::OnFailure on_failure_;
};

}  // namespace mirdax::crash
