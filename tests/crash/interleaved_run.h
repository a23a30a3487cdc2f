// SPDX-License-Identifier: BSD-2-Clause
// One run of a workload with clients: who did what when, and what the pool was asked.
#pragma once

#include <optional>
#include <vector>

#include "tests/crash/model.h"
#include "tests/crash/observation.h"
#include "tests/crash/recording.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {

class MirroredPool;
struct ReplicaOptions;

// Operations have the numbers 1, 2, 3... in the order in which they began; those are also their
// times (SecondsAt), and the indices of a Moment.
struct InterleavedRun {
  struct Done {
    Operation operation;  // with the length that was stored, where space ran out
    std::optional<ErrorCode> answer;
    // Order of all beginnings and returns of the run.
    uint64_t begun_at = 0;
    uint64_t returned_at = 0;
  };
  struct Mirror {
    std::vector<RegionEvent> log;
    std::vector<CrashPoint> points;  // after each post, too
  };

  State start;
  bool scarce = false;             // space may run out
  bool sync_always = false;        // mounted with -o sync
  std::vector<Done> operations;    // by number - 1
  std::vector<RegionEvent> log;    // from before the mount on
  std::vector<CrashPoint> points;  // before each drain, and when each operation has returned
  std::optional<Observation> end;  // what there is to see after the last; none: unmounted
  uint64_t interleaving = 0;       // Interleaver::fingerprint()
  uint64_t shared_commits = 0;     // syncs that waited for another's commit and made none
  std::vector<Mirror> mirrors;
  std::vector<EpochId> epochs;  // that a primary with mirrors has been in
};

// Lines without a client run one after another, as in Record(); consecutive lines with clients run
// at once, each client's in their order, in turns that workload.schedule decides.
// Errors: kInvalid: the shape could not be mounted, or CheckClients().
Result<InterleavedRun> RecordClients(ShapedPool& pool, const Workload& workload);
// Likewise, on a primary with mirrors. kCorrupt: a mirror left the in-sync list.
Result<InterleavedRun> RecordClients(MirroredPool& set, const Workload& workload,
                                     const ReplicaOptions& options);

// What keeps a run with clients within what the oracle understands: kInvalid says what does not.
// A path is looked up before the operation proper; in between, another client might give the name
// to something else. So what another client renames, makes or removes is used by handle.
Status CheckClients(const Workload& workload);

}  // namespace mirdax::crash
