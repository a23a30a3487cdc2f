// SPDX-License-Identifier: BSD-2-Clause
// The copy that a mirror daemon serves: what a primary may do to it, and the background apply.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fs/base/clock.h"
#include "fs/base/mutex.h"
#include "fs/base/random.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "replicator/control_wire.h"
#include "replicator/data_target.h"

namespace mirdax {

using SessionId = uint64_t;  // one control connection; 0 = none

// Invariants:
//  I1 (R1) the commit word moves only after everything that its batch named is durable here.
//  I2 (R3) apply never reads above the commit word.
//  I3 (R4, 22) a peer's bytes go to the data area and to journal bytes [from, to) of its batch; to
//     bitmaps and inode table only while this copy is being filled; to nothing else, ever.
//  I4 (R6) pushes are taken from the attached session only, under the epoch that this copy has
//     persisted. A newer session is attached only after the older one's keys are dead. No request
//     takes the copy back to an epoch below one that has been here.
//  I5 (R7) kFilling is durable before the first byte of a fill, kConsistent after the last. A fill
//     is of the attached primary's set, and ends with the superblock that it began with; keys from
//     before it, which opened another geometry, are dead. The journal of a copy that is being
//     filled begins at the commit word that the fill began with, and is applied meanwhile: a piece
//     of home that comes with the fill is newer than all records before it, and older than all
//     records after it, so the order in which they are stored does not matter at the end.
//  I6 the tail that is reported is persisted: the primary may reuse journal and blocks below it.
//  I7 after a failed apply or commit nothing is taken any more until the daemon is started again;
//     status says why.
//
// Threads: every method by any. Lock order: attach > apply > state > PrivateStore. The handler of a
// data connection takes `state` only, so that Close() of a target may be waited for under `attach`.
class MirrorCopy {
 public:
  // kInvalid: the pool is not a mirror (what to do); kCorrupt: commit word and tail do not fit.
  static Result<std::unique_ptr<MirrorCopy>> Open(Pool& pool, PrivateStore& private_store,
                                                  DataTargetFactory& targets, Clock& clock,
                                                  Random& random);
  MirrorCopy(const MirrorCopy&) = delete;
  MirrorCopy& operator=(const MirrorCopy&) = delete;
  ~MirrorCopy();

  // The requests of a primary (docs/PROTOCOL.md). `peer` is for people. Errors become refusals.
  Result<CopyInfo> Attach(SessionId session, const AttachRequest& request, const std::string& peer)
      MIRDAX_EXCLUDES(attach_mutex_);
  Result<DataEndpoint> OpenData(SessionId session, const std::string& provider)
      MIRDAX_EXCLUDES(attach_mutex_);
  Result<std::vector<RemoteWindow>> GiveKeys(SessionId session) MIRDAX_EXCLUDES(attach_mutex_);
  Result<CopyInfo> SetEpoch(SessionId session, const EpochRecord& epochs)
      MIRDAX_EXCLUDES(attach_mutex_);
  Result<CopyInfo> BeginFill(SessionId session, const FillRequest& request)
      MIRDAX_EXCLUDES(attach_mutex_);
  Result<CopyInfo> EndFill(SessionId session, const FillRequest& request)
      MIRDAX_EXCLUDES(attach_mutex_);
  Result<CopyInfo> Heartbeat(SessionId session, Lsn apply_to);
  // The session is over: its data connection is closed and its keys are dead when this returns.
  void EndSession(SessionId session) MIRDAX_EXCLUDES(attach_mutex_);

  // A message of the session's data connection.
  std::optional<DataReply> OnData(SessionId session, std::span<const std::byte> message)
      MIRDAX_EXCLUDES(state_mutex_);

  // Blocks until there is something worth applying, `max_wait` or Interrupt().
  void AwaitApplyWork(std::chrono::milliseconds max_wait) MIRDAX_EXCLUDES(state_mutex_);
  void Interrupt() MIRDAX_EXCLUDES(state_mutex_);
  // Applies everything committed and persists the tail; while the copy is filled, too. Nothing to
  // do is success. Throws std::bad_alloc: then the next call does it all.
  Status Apply() MIRDAX_EXCLUDES(apply_mutex_);

  CopyInfo Info() const MIRDAX_EXCLUDES(state_mutex_);
  // The status document, JSON. `pm`: the --pm mode.
  std::string StatusDocument(const std::string& pm) const MIRDAX_EXCLUDES(state_mutex_);

 private:
  class Handler;
  struct Attached {
    SessionId session = 0;
    Uuid set;
    Uuid primary;
    std::string peer;
    Timestamp since;
    uint64_t sequence = 0;  // of the last data message
  };

  MirrorCopy(Pool& pool, PrivateStore& private_store, DataTargetFactory& targets, Clock& clock,
             Random& random);
  Status CheckEpochs(const PrivateBlock& block, const AttachRequest& request)
      MIRDAX_REQUIRES(state_mutex_);
  Status RequireAttached(SessionId session) const MIRDAX_EXCLUDES(state_mutex_);
  // As RequireAttached(), and `epochs` do not lead below the fence.
  Status RequireAttached(SessionId session, const EpochRecord& epochs) const
      MIRDAX_EXCLUDES(state_mutex_);
  Result<Geometry> CheckFill(const Superblock& superblock) const MIRDAX_EXCLUDES(state_mutex_);
  void Unplug() MIRDAX_REQUIRES(attach_mutex_);
  CopyInfo InfoLocked() const MIRDAX_REQUIRES(state_mutex_);
  Status CheckRequest(const DataRequest& request) const MIRDAX_REQUIRES(state_mutex_);
  bool Allowed(const DataHeader& header, const DataRange& range) const
      MIRDAX_REQUIRES(state_mutex_);
  Status Store(const DataRequest& request) MIRDAX_REQUIRES(state_mutex_);
  std::optional<DataReply> TryOnData(SessionId session, std::span<const std::byte> message)
      MIRDAX_EXCLUDES(state_mutex_);

  Pool& pool_;
  Region& region_;
  PrivateStore& private_store_;
  DataTargetFactory& targets_;
  Clock& clock_;
  Random& random_;

  Mutex attach_mutex_;
  std::unique_ptr<DataTarget> target_ MIRDAX_GUARDED_BY(attach_mutex_);

  Mutex apply_mutex_;

  mutable Mutex state_mutex_;
  CondVar work_;
  Attached attached_ MIRDAX_GUARDED_BY(state_mutex_);
  EpochId fence_ MIRDAX_GUARDED_BY(state_mutex_){};  // highest epoch of any primary seen
  EpochId epoch_ MIRDAX_GUARDED_BY(state_mutex_){};  // persisted
  Geometry geometry_ MIRDAX_GUARDED_BY(state_mutex_);
  bool filling_ MIRDAX_GUARDED_BY(state_mutex_) = false;  // by the attached session
  Superblock fill_ MIRDAX_GUARDED_BY(state_mutex_){};     // what the fill began with
  bool consistent_ MIRDAX_GUARDED_BY(state_mutex_) = false;
  Lsn commit_ MIRDAX_GUARDED_BY(state_mutex_) = 0;
  Lsn tail_ MIRDAX_GUARDED_BY(state_mutex_) = 0;  // persisted
  Lsn apply_to_ MIRDAX_GUARDED_BY(state_mutex_) = 0;
  bool interrupted_ MIRDAX_GUARDED_BY(state_mutex_) = false;
  std::string error_ MIRDAX_GUARDED_BY(state_mutex_);
};

}  // namespace mirdax
