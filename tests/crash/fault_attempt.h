// SPDX-License-Identifier: BSD-2-Clause
// One run of a workload with a fault, in the making.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tests/crash/executor.h"
#include "tests/crash/fault_run.h"
#include "tests/crash/poison_trap.h"
#include "tests/crash/replica_set.h"
#include "tests/crash/working_volume.h"

namespace mirdax::crash {

struct FaultRun::Attempt {
  explicit Attempt(const Workload& workload_, const FaultPlan& plan)
      : workload(workload_), faults(plan) {}

  // Does one more operation, and compares answer and state with the model (F1, F2).
  Status Do(Operation operation, bool scarce);
  Status Shows(const State& state, std::string_view when);
  // A truncation that is short of memory half way frees later what is left behind the new end: when
  // the file is changed again, or in the next tick.
  void NoteUntrimmed(const Operation& operation, bool struck, bool done);
  // After a poison has struck: an error, where it is needed; else what Shows() wants.
  Status ShowsUnlessRefused(const State& state, std::string_view when);
  bool poisoned() const {
    return faults.plan().kind == FaultKind::kPoison && outcome.operation != 0;
  }
  // The pages of these can be refused. To be taken away before the regions' levels end.
  void SetTraps(ShapedPool& pool, MirroredPool* set);
  // As a power cut would find it.
  void Unmount() {
    executor.reset();
    volume.reset();
    mounted.reset();
    replication = nullptr;
    replicas.reset();
  }

  const Workload& workload;
  Faults faults;
  FaultOutcome outcome;
  bool always_synced = false;
  std::optional<ReplicaSet> replicas;
  ReplicaSet::Replication* replication = nullptr;  // mounted owns it
  std::unique_ptr<MountedImage> mounted;
  std::optional<WorkingVolume> volume;
  std::optional<Executor> executor;
  ImageRegion* region = nullptr;
  std::vector<std::unique_ptr<PoisonTrap>> traps;
  Recording recording{.history = History(State()), .log = {}, .spans = {}};
  std::vector<uint64_t> chances;                                // by operation
  std::map<NodeId, std::shared_ptr<const FileData>> untrimmed;  // as they were before
  size_t next = 0;                                              // index of an operation
  bool returns = false;                                         // lost mirrors are looked after
  bool returning = false;                                       // a mirror is being filled
  Status meanwhile = {};  // of the operations in the middle of that
};

}  // namespace mirdax::crash
