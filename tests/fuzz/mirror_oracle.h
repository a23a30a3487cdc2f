// SPDX-License-Identifier: BSD-2-Clause
// What a mirror daemon may do with the messages of a primary, however hostile (R3, R4, R6, R9).
#pragma once

#include <optional>

#include "fs/format/geometry.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "replicator/control_session.h"
#include "tests/fuzz/guarded_view.h"
#include "tests/fuzz/open_targets.h"

namespace mirdax::fuzz {

// Is told of each message and its answer, and ends the process at the first violation of what
// replicator/mirror_copy.h promises:
//  - I3: control messages store into superblock, private block and commit line only; a data message
//    into data area, journal and commit line, during a fill also into bitmaps and inode table; no
//    window shows anything but journal and data area; apply stores into home and private block.
//    A fill ends with the set and the geometry that it began with
//  - I4: nothing is taken from a primary below an epoch that has been here
//  - (21) before the handshake has ended, only its messages are answered; a connection that was
//    opened for status gets nothing else
//
// Threads: one.
class MirrorOracle {
 public:
  // `store` is what the copy uses from now on.
  void Started(Pool& pool, PrivateStore& store);
  void Answered(size_t session, bool authenticated_before, const ControlSession& control,
                const Frame& request, const Frame& answer);
  void Ended(size_t session);

  // Each looks at the stores since the last ForgetStores().
  void CheckControlStores(GuardedView& view) const;
  void CheckDataStores(GuardedView& view) const;
  void CheckApplyStores(GuardedView& view) const;
  void CheckWindows(const OpenTarget& target) const;

  bool filling() const { return filler_.has_value(); }
  // What the copy's contents are laid out by now; empty when it has none.
  Geometry CurrentGeometry() const;

 private:
  void FillBegan(size_t session, const FillRequest& request);
  void FillEnded(size_t session);
  void Taken(const EpochRecord& epochs);

  Pool* pool_ = nullptr;
  PrivateStore* store_ = nullptr;
  uint64_t highest_epoch_ = 0;    // of a primary that was taken
  Uuid attached_set_;             // of the last one
  std::optional<Geometry> fill_;  // as the last FillBegin said, until FillEnd
  std::optional<size_t> filler_;  // the session whose fill is under way
};

}  // namespace mirdax::fuzz
