// SPDX-License-Identifier: BSD-2-Clause
// Looks for a run that goes wrong, where one must: a deliberate defect is switched on.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/explorer.h"
#include "tests/crash/set_explorer.h"

namespace mirdax::crash {

// Where defects are hunted. Made before one is switched on.
struct HuntingGround {
  // `folder`: of workload files, those with clients in `clients` below it.
  // Errors: what cannot be read or built.
  static Result<HuntingGround> Make(const std::string& folder);

  struct Pools {  // of one shape
    std::unique_ptr<ShapedPool> alone;
    std::unique_ptr<MirroredPool> with_one;  // mirror
    std::unique_ptr<MirroredPool> with_two;
  };

  std::vector<Workload> files;  // the shortest first
  // Single operations on every shape, then pairs on the plain one.
  std::vector<Workload> generated;
  std::vector<Workload> clients;  // files, each with each schedule in turn, then pairs
  std::map<std::string, Pools> pools;
};

// What goes wrong, and in which run.
struct Sighting {
  std::string reason;
  std::string run;
};

// Visits what ordinary runs visit, until something is illegal: what is likely and cheap first, in
// the end everything.
//
// Threads: one.
class MutantHunt {
 public:
  // REQUIRES: `ground` outlives the object.
  explicit MutantHunt(HuntingGround& ground) : ground_(ground) {}

  std::optional<Sighting> Alone();  // the primary's crash images
  std::optional<Sighting> WithClients();
  std::optional<Sighting> WithMirrors(Scenario likely);
  std::optional<Sighting> WithFaults(std::string_view rule);  // F6: of poison; F5: with mirrors

  std::string Effort() const;  // so far, for people

 private:
  std::optional<Sighting> Try(const Workload& workload, const ExploreOptions& options);
  std::optional<Sighting> TrySet(const Workload& workload, Scenario scenario,
                                 const ExploreOptions& options);

  HuntingGround& ground_;
  DistinctImages distinct_;
  ExploreStats stats_;
  uint64_t faults_ = 0;
};

}  // namespace mirdax::crash
