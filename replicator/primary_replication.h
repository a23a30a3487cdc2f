// SPDX-License-Identifier: BSD-2-Clause
// The primary's side of replication: brings every mirror in sync at mount, then carries the
// engine's batches to all of them at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fs/base/clock.h"
#include "fs/base/random.h"
#include "fs/base/result.h"
#include "fs/core/replication_sink.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"

namespace mirdax {

class MirrorDialer;  // replicator/dialer.h: how a mirror is reached (fabric, or simulated)

struct ReplicationOptions {
  std::vector<std::string> mirrors;  // "host:port" or "[v6]:port"
  std::string key_file;              // empty only with no_auth
  std::string fabric = "auto";       // "auto", "tcp", "verbs", or a libfabric provider's name
  std::chrono::milliseconds mirror_timeout{2000};
  // How long a mirror that answers may apply nothing while space waits for it. It stores its tail
  // only after what it has begun to replay.
  std::chrono::milliseconds apply_patience{10000};
  bool degraded = false;  // mount although a mirror cannot be reached: it leaves the in-sync list
  bool no_auth = false;   // talk only to mirrors that say no-auth too
  // Lines for people while a mount waits: "mirror h:p: filling, 12 of 80 MiB". May be empty.
  std::function<void(const std::string&)> progress;
};

struct MirrorStatus {
  std::string address;
  std::string copy_uuid;  // empty until it has told
  std::string state;      // "connecting", "filling", "in-sync", "ejected"
  Lsn acked = 0;          // durable on the mirror
  Lsn applied = 0;        // applied to its home, and its tail persisted
  std::string method;     // "target-flush"
  std::string reason;     // why it is not in sync
  Timestamp since;        // of the state
};

// Invariants:
//  I1 (R5) Wait() succeeds only when every mirror of the persisted in-sync list has answered that
//     the batch is durable. A mirror leaves the list in this order: a new epoch durable here (list
//     unchanged), durable on the survivors, the shorter list durable here; only then Wait()
//     returns.
//  I2 (R6) every request names the epoch it was made under; a mirror that knows a higher one ends
//     this primary: Wait() fails with kStale, now and for ever.
//  I3 (R7) a mirror joins the list only when it was provably equal at mount or its fill has ended.
//  I4 (R10) no sync waits for a mirror longer than mirror_timeout, and Connect() for none of its
//     steps longer than that or 5 s; mirrors() and applied() never wait for one at all.
//  I5 (R2, R7) a mirror that left the list is attached again as soon as it answers, and filled
//  while
//     the mount goes on: from the begin of the fill its applied LSN counts in applied(), it gets
//     every batch, and it joins the list only with the end of the fill.
//
// Threads: as ReplicationSink; mirrors() by any. Locks: takes its own; calls into PrivateStore.
class PrimaryReplication final : public ReplicationSink {
 public:
  // Compares every mirror with this copy and returns when each is in sync (docs/ARCHITECTURE.md,
  // "Set, roles and mounting"). Call it at every writable mount, with or without mirrors: a listed
  // in-sync mirror that is not named in `options` must not be forgotten silently.
  // REQUIRES: the pool was recovered (tail == commit word); `clean` still says how it was
  // unmounted. Errors: kStale (a mirror has a higher epoch: this copy may be an old primary),
  // kInvalid (foreign
  //         set, unknown history, too small, bad address), kPeerLost / kTimedOut (cannot be
  //         reached), kAuthFailed, kIncompatible. The message names the mirror and what to do.
  static Result<std::unique_ptr<PrimaryReplication>> Connect(Pool& pool,
                                                             PrivateStore& private_store,
                                                             const ReplicationOptions& options,
                                                             Clock& clock, Random& random);
  // The same over another way of reaching mirrors (tests).
  static Result<std::unique_ptr<PrimaryReplication>> Connect(Pool& pool,
                                                             PrivateStore& private_store,
                                                             const ReplicationOptions& options,
                                                             Clock& clock, Random& random,
                                                             std::unique_ptr<MirrorDialer> dialer);

  ~PrimaryReplication() override;  // as Close()

  void Post(const ReplicationBatch& batch) override;
  Status Wait() override;
  void Abandon() override;
  Lsn applied() const noexcept override;
  void RequestApply(Lsn lsn) override;
  Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) override;

  // One round of heartbeats: what a thread of its own does all the time, except in a simulation.
  void Beat();
  // One attempt at every mirror that is out of sync: as Beat().
  void Rejoin();

  // One row a mirror, in the order of the options. Never waits.
  std::vector<MirrorStatus> mirrors() const;

  // Says good-bye to the mirrors (they apply what they have and go on waiting for a primary).
  // Idempotent. REQUIRES: no Post() without its Wait().
  void Close();

 private:
  class Impl;
  explicit PrimaryReplication(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirdax
