// SPDX-License-Identifier: BSD-2-Clause
// The primary's epoch and in-sync list, and how they change (R5).
#pragma once

#include <vector>

#include "fs/base/clock.h"
#include "fs/base/random.h"
#include "fs/pmem/private_store.h"
#include "replicator/epochs.h"
#include "replicator/mirror_link.h"

namespace mirdax {

// Invariant: the list on this copy never gets shorter, nor longer, before every mirror that is on
// the new one has persisted the epoch that goes with it. A power cut between the steps leaves the
// old list under a newer epoch here: mirrors are then found behind, or equal, never ahead.
//
// Threads: one at a time.
class Membership {
 public:
  Membership(Region& region, PrivateStore& private_store, Clock& clock, Random& random)
      : region_(region), private_store_(private_store), clock_(clock), random_(random) {}

  EpochId epoch() const { return CurrentEpoch(private_store_.Get()); }
  bool IsInSync(const Uuid& copy) const;  // by the persisted list
  // Members of the persisted in-sync list that are not among `links`.
  std::vector<Member> MissingFrom(const std::vector<MirrorLink*>& links) const;

  // Begins an epoch whose in-sync list is exactly `in_sync`. A mirror that cannot be told is marked
  // failed and taken out of `in_sync` too.
  // Errors: kStale (a mirror knows a higher epoch), kIo (not durable here), kNoSpace (no slot).
  Status Change(std::vector<MirrorLink*>& in_sync);

 private:
  Result<std::array<Member, kMaxMirrors>> NextMembers(const PrivateBlock& block,
                                                      const std::vector<MirrorLink*>& in_sync);

  Region& region_;
  PrivateStore& private_store_;
  Clock& clock_;
  Random& random_;
};

}  // namespace mirdax
