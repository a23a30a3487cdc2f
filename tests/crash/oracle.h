// SPDX-License-Identifier: BSD-2-Clause
// Says which filesystems a crash may leave: docs/CONSISTENCY.md, "After a crash".
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "tests/crash/history.h"
#include "tests/crash/observation.h"

namespace mirdax::crash {

// Of one run.
class LegalStates {
 public:
  virtual ~LegalStates() = default;
  // Why `seen` cannot be after a crash at `moment`; nothing when it can.
  virtual std::optional<std::string> Judge(const Observation& seen, Moment moment) const = 0;
};

// A crash is legal when what is seen is the model after some operation p, with
//  O1 names: p is no older than the last sync point that had returned, and no newer than the last
//     operation that had begun. All names, kinds, link counts, owners, modes and attributes are
//     those after p, exactly: operations are whole, and in order.
//  O2 bytes synced: nothing of a file is older than the last sync point that covers it, or than the
//     last change of its size itself (an operation on names and attributes, see O1) up to p.
//  O3 size: one that the file had, between O2 and p, or, after a sync that failed, one between
//  those
//     at the end of a block; it never covers what was not stored.
//  O4 a block whose storage is new appears as a whole, with the blocks' storage after some
//     operation between O2 and p. Only words (8 aligned bytes) that share that storage may differ:
//     each is as it was after some operation, not older than O2, up to the one under way. Whether
//     the block is a hole, unwritten or written is what it was after that same operation; that goes
//     for blocks behind the end of file, too.
//  O5 times are those after some operation between O2 and p, of one moment.
//  O6 space: what is free, and what the files seen occupy, is the whole pool; inodes likewise. What
//     a file occupies is its data (O4), a block for attributes where it has some, and the nodes of
//     its tree, of which there are none where the inode has room for all extents.
//
// Threads: const.
class Oracle final : public LegalStates {
 public:
  // REQUIRES: `history` outlives the object.
  explicit Oracle(const History& history) : history_(history) {}

  std::optional<std::string> Judge(const Observation& seen, Moment moment) const override;

 private:
  friend std::optional<std::string> Differs(const Observation& seen, const State& state);
  class Match;  // of one observation with one p

  const History& history_;
};

// Why `seen` is not what a running volume shows whose state is `state`, exactly; the space apart.
std::optional<std::string> Differs(const Observation& seen, const State& state);
// O6. Why some space is nobody's, or counted twice. REQUIRES: no file without a name is open.
std::optional<std::string> SpaceDiffers(const Observation& seen);

}  // namespace mirdax::crash
