// SPDX-License-Identifier: BSD-2-Clause
// Private to PrimaryReplication, whose two halves share it: the data path and the list
// (primary_replication.cc), and how mirrors come to be in sync (primary_bring_in.cc).
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fs/base/mutex.h"
#include "replicator/adaptive_poll.h"
#include "replicator/dialer.h"
#include "replicator/fifo_gate.h"
#include "replicator/membership.h"
#include "replicator/mirror_link.h"
#include "replicator/primary_replication.h"

namespace mirdax {

inline bool Contains(const std::vector<MirrorLink*>& links, const MirrorLink* link) {
  return std::find(links.begin(), links.end(), link) != links.end();
}

// Locks: whoever owns the gate (the commit leader from Post() to Wait(), the heartbeat thread, or a
// fill for one slice) may use the data paths and change the in-sync list.
class PrimaryReplication::Impl {
 public:
  Impl(Pool& pool, PrivateStore& private_store, ReplicationOptions options, Clock& clock,
       Random& random, std::unique_ptr<MirrorDialer> dialer)
      : pool_(pool),
        region_(pool.region()),
        geometry_(pool.geometry()),
        private_store_(private_store),
        options_(std::move(options)),
        clock_(clock),
        random_(random),
        dialer_(std::move(dialer)),
        poll_(clock, dialer_->has_threads() ? kLongestPoll : std::chrono::microseconds(0)),
        membership_(region_, private_store, clock, random) {}
  ~Impl() { Close(); }

  Status Connect();
  void Post(const ReplicationBatch& batch);
  Status Wait();
  void Abandon();
  Lsn applied() const { return applied_.load(std::memory_order_acquire); }
  void RequestApply(Lsn lsn) MIRDAX_EXCLUDES(heartbeat_mutex_);
  Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck);
  std::vector<MirrorStatus> mirrors() const;
  void Close() MIRDAX_EXCLUDES(heartbeat_mutex_);
  void Beat();
  void Rejoin();

 private:
  using State = MirrorLink::State;

  Status AttachAll(const PrivateBlock& block);
  Status Attach(MirrorLink& link, const PrivateBlock& block);
  Status CheckMissing() const;
  bool ProvablyEqual(const PrivateBlock& block, const MirrorLink& link) const;
  Status BringIn(const PrivateBlock& block);
  // Makes `link` equal while the mount goes on, and puts it on the list.
  Status Fill(MirrorLink& link);
  Status CopyTo(MirrorLink& link, FillRequest& request);
  Status PutOnList(MirrorLink& link, FillRequest& request);  // REQUIRES: the gate is ours
  void GiveUpFill(MirrorLink& link, const Error& error);     // REQUIRES: the gate is ours
  bool HasEnded();
  Status Reattach(MirrorLink& link);
  Status TryToReattach(MirrorLink& link);

  std::vector<MirrorLink*> InSync() const;
  std::vector<MirrorLink*> TakingBatches() const;
  bool CollectAll(const std::vector<MirrorLink*>& links);
  Status AwaitAnswers();  // of the posted batch. REQUIRES: the gate is ours.
  // Takes every failed mirror off the list, durably. REQUIRES: the gate is ours.
  Status EjectFailed();
  void Eject(MirrorLink& link, const std::string& reason);
  Status End(Error error);  // I2: nothing is acknowledged any more
  void UpdateApplied();

  void HeartbeatLoop();
  void RejoinLoop();
  Lsn Commit() { return region_.As<CommitLine>(kCommitLineOffset).commit; }

  Pool& pool_;
  Region& region_;
  const Geometry geometry_;
  PrivateStore& private_store_;
  const ReplicationOptions options_;
  Clock& clock_;
  Random& random_;
  const std::unique_ptr<MirrorDialer> dialer_;
  AdaptivePoll poll_;  // owned with the gate
  Membership membership_;
  std::vector<std::unique_ptr<MirrorLink>> links_;  // fixed before the heartbeat begins

  std::shared_ptr<const Key> key_;  // fixed before any thread begins

  FifoGate gate_;
  EpochId epoch_{};             // owned with the gate
  std::optional<Error> ended_;  // ditto

  Mutex applied_mutex_;  // of those who store applied_
  std::atomic<Lsn> applied_ = kNoMirror;
  std::atomic<Lsn> wanted_ = 0;  // highest RequestApply()

  Mutex heartbeat_mutex_;
  CondVar heartbeat_wake_;
  CondVar rejoin_wake_;
  std::atomic<bool> closing_ = false;  // set under heartbeat_mutex_
  bool hurry_ MIRDAX_GUARDED_BY(heartbeat_mutex_) = false;
  std::thread heartbeat_;
  std::thread rejoin_;  // the only one that attaches and fills mirrors once Connect() has returned
};

}  // namespace mirdax
