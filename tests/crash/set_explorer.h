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

  // The first violation, if there is one.
  std::optional<Failure> Explore(const Workload& workload, const ExploreOptions& options);

 private:
  MirroredPool& set_;
  const Scenario scenario_;
  DistinctImages& distinct_;
  ExploreStats& stats_;
  const Explorer::OnFailure on_failure_;
};

}  // namespace mirdax::crash
