// SPDX-License-Identifier: BSD-2-Clause
// One run of a workload on a primary with mirrors: what each copy was asked, by whom, and when.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tests/crash/mirrored_pool.h"
#include "tests/crash/recording.h"
#include "tests/crash/replica_set.h"

namespace mirdax::crash {

// What happens to the set while the workload runs. Which operation it meets, and how far into it,
// is computed from the workload and the seed.
enum class Scenario : uint8_t {
  kSteady,   // nothing: one mirror, in sync all the time
  kLazy,     // likewise; it applies nothing before the primary waits for space
  kLost,     // two mirrors; the second breaks off, or falls silent
  kBack,     // likewise; then the volume is unmounted, and mounted with a fill of that mirror
  kReturns,  // likewise; the mirror comes back, and operations run in the middle of its fill
  kFenced,   // two mirrors; the first is promoted and takes the second over while the primary runs
             // on
};
inline constexpr Scenario kScenarios[] = {Scenario::kSteady, Scenario::kLazy,    Scenario::kLost,
                                          Scenario::kBack,   Scenario::kReturns, Scenario::kFenced};
std::string_view NameOf(Scenario scenario) noexcept;                   // "steady", ...
std::optional<Scenario> FindScenario(std::string_view name) noexcept;  // the inverse
size_t MirrorsOf(Scenario scenario) noexcept;
// The mirrors' own choices in a run.
ReplicaOptions ReplicasOf(const Workload& workload, Scenario scenario, uint64_t seed);

struct SetRecording {
  Workload workload;  // as it was run: a scenario may add a sync
  Recording primary;
  std::vector<Recording> mirrors;  // none where one was promoted
  std::vector<EpochId> epochs;     // that the primary has been in
};

// Runs `workload` on `set`, which has as many mirrors as the scenario wants, and takes back all it
// stored.
//
// Errors: kInvalid: the set could not be mounted. kCorrupt, besides what Record() says:
//  S1 (R5) a mirror left the in-sync list that nothing had happened to;
//  S2 (R5, R6) when an operation returned, a mirror on the list that the primary's power cut would
//     leave had not made the list's epoch durable;
//  S3 (R6) a primary whose mirror was promoted acknowledged a sync, changed a byte of a mirror that
//     the new primary has, or was let in again.
Result<SetRecording> RecordSet(MirroredPool& set, const Workload& workload, Scenario scenario,
                               uint64_t seed);

}  // namespace mirdax::crash
