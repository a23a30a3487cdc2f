// SPDX-License-Identifier: BSD-2-Clause
// The simulated transport, with a mirror's answers bent on their way to the primary.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>

#include "replicator/dialer.h"
#include "replicator/sim/sim_network.h"
#include "tests/fuzz/payload_edits.h"

namespace mirdax::fuzz {

// What happens to one answer, control or data.
struct Bend {
  enum class Fate : uint8_t { kArrives, kLost, kReset, kTwice } fate = Fate::kArrives;
  std::optional<uint16_t> type;  // of a frame
  PayloadEdits edits;
  bool harmless() const { return fate == Fate::kArrives && !type && !edits.any(); }
};

// What happens to the answers, in the order in which the primary asks for them; later ones arrive
// as they are.
//
// Steps, after those of PayloadEdits:
//   pass N         so many answers arrive as they are
//   type N         the frame says it is of this type
//   bent           ends the bend: the next answer arrives so
//   lost           ... never comes
//   reset          ... the connection breaks instead
//   twice          ... arrives twice
class Bender {
 public:
  static void AddSteps(Grammar& grammar);
  bool Take(std::string_view word, const std::array<uint64_t, kMostNumbers>& n);
  // For the next answer of the mirror at `address`.
  Bend Next(const std::string& address);
  // The mirrors all of whose answers arrived as they were.
  bool Honest(const std::string& address) const { return !liars_.contains(address); }

 private:
  std::deque<Bend> bends_;
  Bend next_;
  std::set<std::string> liars_;
};

// REQUIRES: all arguments outlive the dialer.
std::unique_ptr<MirrorDialer> MakeBentDialer(std::unique_ptr<MirrorDialer> inner, Bender& bender,
                                             sim::SimClock& clock);

}  // namespace mirdax::fuzz
