// SPDX-License-Identifier: BSD-2-Clause
// The primary's connections to one mirror: control and data.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/base/random.h"
#include "fs/core/replication_sink.h"
#include "fs/format/geometry.h"
#include "fs/pmem/region.h"
#include "replicator/auth.h"
#include "replicator/data_wire.h"
#include "replicator/dialer.h"
#include "replicator/primary_replication.h"

namespace mirdax {

// For people, who see no code: where there are no words, its name, which is so short that it needs
// no memory.
inline Error WithWords(Error error) {
  if (error.message.empty()) error.message = ErrorCodeName(error.code);
  return error;
}

// kIo when this copy's medium refuses some of what a batch is made of.
Status CheckReadable(const ReplicationBatch& batch, const Region& region);

// Errors:  an error of the data path is kept in failure(); the owner then ejects the mirror. Errors
//          name the mirror. What this copy's own medium refuses is never sent: that fails the data
//          path with kIo, before the commit word could be sent.
// Threads: control requests, Fail() and status() by any; the data path by one at a time.
class MirrorLink {
 public:
  enum class State : uint8_t { kConnecting, kFilling, kInSync, kEjected };

  // When it may be filled again. Of whoever does that.
  struct Retry {
    unsigned failed = 0;
    Deadline due = 0;
  };
  Retry retry;

  MirrorLink(std::string address, MirrorDialer& dialer, Clock& clock,
             std::chrono::milliseconds timeout);
  MirrorLink(const MirrorLink&) = delete;
  MirrorLink& operator=(const MirrorLink&) = delete;
  ~MirrorLink() = default;

  // Connects, authenticates, introduces the primary; the mirror's answer is info().
  Status Attach(const AttachRequest& request, const Key* key, Random& random);
  // Opens a data connection and drops it: whether one is possible should be known before the mirror
  // is told that it is being filled.
  Status TryData(const std::string& fabric, std::span<std::byte> memory);
  // Opens the data connection to what `geometry` says. `memory`: the primary's pool.
  Status OpenData(const std::string& fabric, std::span<std::byte> memory);

  Status SetEpoch(const EpochRecord& epochs);
  // The mirror will be filled from commit word `commit` on, under `epoch`: from here on applied()
  // is what it will have applied of that, and state() kFilling. REQUIRES: attached; the data path
  // is ours and not open.
  void StartFill(Lsn commit, EpochId epoch) MIRDAX_EXCLUDES(mutex_);
  Status BeginFill(const FillRequest& request);
  Status EndFill(const FillRequest& request);
  Status Heartbeat(Lsn apply_to);
  void Detach();  // says good-bye, as far as that works

  // Sends a batch; errors go to failure(). Bytes are read from `region`.
  // `epoch`: the primary's; a mirror that is being filled gets the one its fill began under.
  void Post(const ReplicationBatch& batch, EpochId epoch, Region& region, const Geometry& geometry);
  // Fill: pieces of the pool that are not in a window, and ranges of zeros. `commit`: the mirror's
  // commit word.
  void PostHome(const PoolRange& range, Lsn commit, Region& region);
  void PostZeros(const PoolRange& range, Lsn commit);
  // Asks for all of that to be made durable.
  void FinishFill(Lsn commit);

  // Takes the answers that have come. True when none is awaited any more, or the link has failed.
  bool Collect();
  // Blocks until Collect() is true, or the mirror makes no progress for the timeout.
  void AwaitAnswers();

  // A mirror that is being filled gets every batch too.
  void Join() { joined_ = true; }
  // Attached, as far as is known.
  bool attached() const MIRDAX_EXCLUDES(channel_mutex_);
  // In sync or being filled: batches are posted to it.
  bool takes_batches() const;

  const std::string& address() const { return address_; }
  const CopyInfo& info() const { return info_; }
  DataLink* data() const { return data_.get(); }
  uint64_t progress() const;  // grows while the mirror does something

  // The data path is given up: no answer is awaited any more.
  void GiveUp(Error error);
  // Something else than the data path failed.
  void MarkFailed(Error error) MIRDAX_EXCLUDES(mutex_);
  // It has not applied its journal up to `lsn`, which space has waited for.
  void MarkLagging(Lsn lsn, std::chrono::nanoseconds waited) MIRDAX_EXCLUDES(mutex_);
  std::optional<Error> failure() const MIRDAX_EXCLUDES(mutex_);
  void SetState(State state, const std::string& reason) MIRDAX_EXCLUDES(mutex_);
  State state() const { return state_.load(); }
  Lsn applied() const { return applied_.load(); }
  std::chrono::nanoseconds unapplied_for() const;  // since applied() last changed
  MirrorStatus status() const MIRDAX_EXCLUDES(mutex_);
  // Ends both connections; nothing is read from the pool for them any more. REQUIRES: the caller
  // owns the data path.
  void Cut() MIRDAX_EXCLUDES(channel_mutex_);
  // Forgets why the link failed: it may be attached again. REQUIRES: it was cut, and is kEjected.
  void Reset() MIRDAX_EXCLUDES(mutex_);

 private:
  // Connecting takes long on a busy machine, and only the mount waits for it.
  static constexpr std::chrono::milliseconds kSetupTimeout{5000};

  Result<std::unique_ptr<DataLink>> DialData(const std::string& fabric,
                                             std::span<std::byte> memory);
  Result<std::vector<std::byte>> Request(FrameType type, std::span<const std::byte> payload,
                                         std::chrono::milliseconds timeout)
      MIRDAX_EXCLUDES(control_mutex_, channel_mutex_);
  // `fill`: fills_ when the request was made.
  Status Learn(const std::vector<std::byte>& payload, uint64_t fill);
  uint64_t fill_number() const MIRDAX_EXCLUDES(mutex_);
  // What an answer says, unless a fill has begun since it was asked for.
  void SetApplied(Lsn applied, uint64_t fill) MIRDAX_EXCLUDES(mutex_);
  Error Named(Error error) const;
  void TryPost(const ReplicationBatch& batch, EpochId epoch, Region& region,
               const Geometry& geometry);
  // The data path's steps; false when the link has failed.
  bool AddRange(const PoolRange& range, EpochId epoch, Region& region, Lsn from, Lsn to);
  bool AddInline(const PoolRange& range, Region& region);
  bool IsReadable(const PoolRange& range, const Region& region);
  bool SendMessage(EpochId epoch, Lsn from, Lsn to, bool last);
  bool AwaitCredit();
  Deadline StepDeadline() { return After(clock_, timeout_); }
  // Of what no sync can wait for: connecting, and the begin of a fill.
  std::chrono::milliseconds setup_timeout() const { return std::max(timeout_, kSetupTimeout); }

  const std::string address_;
  MirrorDialer& dialer_;
  Clock& clock_;
  const std::chrono::milliseconds timeout_;

  Mutex control_mutex_;  // one request at a time
  mutable Mutex channel_mutex_;
  std::shared_ptr<FrameChannel> channel_ MIRDAX_GUARDED_BY(channel_mutex_);
  CopyInfo info_;  // as it was when attached

  // The data path.
  std::unique_ptr<DataLink> data_;
  DataMessage message_;
  std::vector<std::byte> reply_;
  uint64_t sent_ = 0;      // sequence of the last request
  uint64_t answered_ = 0;  // and of the last answer
  EpochId fill_epoch_{};
  std::atomic<bool> joined_ = false;
  bool broken_ = false;  // failure() of the data path; no lock needed to know

  std::atomic<Lsn> acked_ = 0;
  std::atomic<Lsn> applied_ = 0;
  std::atomic<uint64_t> applied_at_ = 0;  // monotonic nanoseconds: when applied_ last changed
  std::atomic<bool> data_opened_ = false;
  std::atomic<State> state_ = State::kConnecting;
  mutable Mutex mutex_;
  std::optional<Error> failure_ MIRDAX_GUARDED_BY(mutex_);
  uint64_t fills_ MIRDAX_GUARDED_BY(mutex_) = 0;
  bool fill_unanswered_ MIRDAX_GUARDED_BY(mutex_) = false;  // what it says is of before the fill
  std::string copy_uuid_ MIRDAX_GUARDED_BY(mutex_);
  std::string reason_ MIRDAX_GUARDED_BY(mutex_);
  Timestamp since_ MIRDAX_GUARDED_BY(mutex_);
};

}  // namespace mirdax
