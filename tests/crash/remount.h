// SPDX-License-Identifier: BSD-2-Clause
// What an administrator does when the power comes back that all copies of a set had lost.
#pragma once

#include <optional>
#include <string>

#include "tests/crash/checker.h"
#include "tests/crash/mirrored_pool.h"
#include "tests/crash/oracle.h"
#include "tests/crash/takeover.h"

namespace mirdax::crash {

// Judges a crash image of every copy of a set, all of one moment:
//  W1 (R5) a mirror that the primary's image lists in sync is not ahead of its epoch; promoted, it
//     has all that was acknowledged;
//  W2 every daemon starts, and the primary mounts with all mirrors and shows what the oracle
//  allows; W3 (R8) then each mirror is in sync; what the primary goes on to commit, it has:
//  promoted, it
//     shows what the primary showed.
//
// Threads: one at a time.
class Remount {
 public:
  // REQUIRES: all outlive the object.
  Remount(MirroredPool& set, const LegalStates& legal, const Takeover& takeover, CheckStats& stats)
      : set_(set), legal_(legal), takeover_(takeover), stats_(stats) {}

  // Why the images that lie in the regions are wrong after a crash at `moment`; nothing when they
  // are right. The regions are afterwards as they were. `seed`: of the mirrors' own choices, and
  // whether the power goes again before the primary is unmounted.
  std::optional<std::string> Check(Moment moment, uint64_t seed);

 private:
  using Reason = std::optional<std::string>;

  Reason CheckListed(Moment moment, uint64_t seed);
  Reason MountAll(Moment moment, uint64_t seed);
  // `list`: the primary's. All mirrors are on it.
  Reason PromoteEach(const Observation& shown, const PrivateBlock& list);

  MirroredPool& set_;
  const LegalStates& legal_;
  const Takeover& takeover_;
  CheckStats& stats_;
};

}  // namespace mirdax::crash
