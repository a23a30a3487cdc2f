// SPDX-License-Identifier: BSD-2-Clause
// Runs a workload with one fault, and looks at everything that the fault may have spoilt.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/crash/explorer.h"
#include "tests/crash/faults.h"
#include "tests/crash/mirrored_pool.h"
#include "tests/crash/recording.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {

struct FaultOutcome {
  uint64_t chances = 0;        // while the workload ran
  uint64_t strikes = 0;        // 0: the fault would have come later than the workload's end
  uint32_t operation = 0;      // during which it struck first: 1, 2, 3...
  bool failed = false;         // an operation failed of it; else the product got over it
  bool stopped = false;        // the filesystem stopped (kShutdown)
  std::string violation = {};  // empty: all is well
  // Then: the pool as it was when that was seen; of a mirror or of a power cut's image, where that
  // is what is wrong.
  std::vector<std::byte> image = {};
};

// What must hold:
//  F1 an operation in which the fault strikes does what it was asked for, or fails with an errno
//  that
//     its manual page allows and has changed nothing (a write with O_SYNC, or under -o sync, may
//     have done all but its sync). All others do as the model says.
//  F2 only what could not be undone stops the filesystem: a failed drain, within a commit. Reads go
//  on
//     then, and every change and sync fails.
//  F3 a power cut when the operation has returned leaves what the oracle allows, where an operation
//     that failed changed nothing and made nothing durable.
//  F4 with the fault gone, the filesystem is as good as before: files are made, written, synced,
//  read
//     and removed; what a failed sync left is made durable by the next one; no block, no inode, no
//     reservation and no unsynced byte is left over; it unmounts clean.
//
//  F5 with mirrors: what happens to them, or on the way to them, makes no operation fail. When the
//     operation that was struck has returned, and at the end, each mirror can be promoted, and has
//     what the oracle allows: if the primary still lists it in sync, all that was acknowledged.
//
//     One that is not listed was given up for a reason that the primary tells.
//
//     A mirror that returns is in sync again once the fault is gone, unless the filesystem stopped;
//     one whose daemon ran out of memory always returns, to the same daemon.
//
//  F6 where the medium refuses a page: from then on an operation may fail with EIO, and the
//     filesystem stop where it may have been metadata; but nothing that is shown, and nothing that
//     a power cut leaves once the medium gives everything again, comes of what was not read or not
//     taken. Mounted while it still refuses: a clear error, or F1 again.
//
// Threads: one at a time.
class FaultRun {
 public:
  // REQUIRES: all outlive the object.
  FaultRun(ShapedPool& pool, ExploreStats& stats) : pool_(pool), stats_(stats) {}
  // `returns`: the last mirror's daemon is started anew before the first operation, and after each
  // one (or before the first) the primary looks after the mirrors it has lost: so faults strike in
  // fills, and operations run between their slices.
  FaultRun(MirroredPool& set, ExploreStats& stats, bool returns = false)
      : pool_(set.primary()), set_(&set), returns_(returns), stats_(stats) {}

  FaultOutcome Run(const Workload& workload, const FaultPlan& plan);

  // For each operation (index - 1) the chances that `kind` has had when it has returned, in a run
  // in which nothing strikes.
  Result<std::vector<uint64_t>> CountChances(const Workload& workload, FaultKind kind);

 private:
  struct Attempt;  // one run of the workload
  class Seams;

  Status Live(Attempt& attempt);
  Status Try(Attempt& attempt);
  Status Recover(Attempt& attempt);
  Result<std::unique_ptr<ReplicationSink>> Connect(Attempt& attempt, MountedImage& primary);
  Status Restart(Attempt& attempt, size_t mirror);
  Status DoNext(Attempt& attempt);
  Status Return(Attempt& attempt);
  void BetweenSlices(Attempt& attempt);
  Status CheckReturned(const Attempt& attempt) const;
  Status CheckMirrors(Attempt& attempt);
  Status MountRefused(Attempt& attempt);
  Status CheckCuts(Attempt& attempt, const Workload& workload);

  ShapedPool& pool_;
  MirroredPool* const set_ = nullptr;  // null: no mirrors
  const bool returns_ = false;
  ExploreStats& stats_;
  DistinctImages images_;
};

}  // namespace mirdax::crash
