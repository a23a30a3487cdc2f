// SPDX-License-Identifier: BSD-2-Clause
// Power cuts of a whole set: at a moment of a run, every copy keeps what it keeps.
#pragma once

#include <optional>
#include <vector>

#include "tests/crash/explorer.h"
#include "tests/crash/mirrored_pool.h"

namespace mirdax::crash {

// The moments are the crash points of all copies, in the order of time. At those that are chosen
// (ExploreOptions::set_every), one image of each copy is made: nothing of what was in flight to it,
// all, or a part, each copy for itself, by the seed.
//
// Threads: one at a time.
class SetCuts {
 public:
  // REQUIRES: all outlive the object.
  SetCuts(MirroredPool& set, ExploreStats& stats, const Explorer::OnFailure& on_failure)
      : set_(set), stats_(stats), on_failure_(on_failure) {}

  // The first violation of Remount's rules, if there is one. `copies`: the primary, then the
  // mirrors. `takeover`: of a mirror whose primary is lost. A failure's subset is the seed that
  // made the images.
  std::optional<Failure> Explore(const Workload& workload, const std::vector<CopyLog>& copies,
                                 const LegalStates& legal, const Takeover& takeover,
                                 const ExploreOptions& options);

 private:
  struct Run;  // of one workload
  std::optional<Failure> ExplorePoint(Run& run, uint64_t point);

  MirroredPool& set_;
  ExploreStats& stats_;
  const Explorer::OnFailure& on_failure_;
};

}  // namespace mirdax::crash
