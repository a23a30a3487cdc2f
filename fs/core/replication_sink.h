// SPDX-License-Identifier: BSD-2-Clause
// The seam between the engine and replication: the engine owns this interface and calls it; the
// replicator implements it. The engine knows no transport.
#pragma once

#include <chrono>
#include <limits>
#include <span>

#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/format/layout.h"

namespace mirdax {

inline constexpr Lsn kNoMirror = std::numeric_limits<Lsn>::max();

// One commit, seen from a mirror: data first, then the journal, then the commit word (R1).
struct ReplicationBatch {
  std::span<const PoolRange> data;  // sorted, merged; 64-aligned; blocks of files only (R4)
  Lsn from = 0;                     // journal bytes [from, to) are new; `from` is the last batch's
  Lsn to = 0;                       // `to`. from == to: only data; the commit word stays.
};

// Bytes are read from the primary's Region when they are sent.
//
// Threads: Post() and Wait() by one thread at a time (the commit leader), in pairs; DropLaggards()
//          by the leader, between pairs; applied() by any, without waiting; RequestApply() by any.
// Locks:   called with no inode or group lock held by the engine that a reply could need (R10).
class ReplicationSink {
 public:
  virtual ~ReplicationSink() = default;

  // Sends a batch towards every in-sync mirror and returns without waiting for any.
  // REQUIRES: `batch.data` and the journal bytes stay as they are until Wait() returned.
  virtual void Post(const ReplicationBatch& batch) = 0;

  // Returns when the posted batch is durable on every mirror of the *persisted* in-sync list. A
  // mirror that fails or misses its deadline is first taken off that list, durably (R5), and is no
  // reason to fail. Fails with kStale (a higher epoch exists: stop writing) or kIo (the list could
  // not be persisted): then nothing may be acknowledged.
  virtual Status Wait() = 0;

  // Between Post() and Wait(), which fails then, as all that follow: the batch could not be made
  // durable here, or not applied to home. What this copy holds is no model for another any more.
  virtual void Abandon() {}

  // LSN below which every in-sync mirror has applied the journal to its home and persisted that
  // (R2); kNoMirror without mirrors.
  virtual Lsn applied() const noexcept = 0;

  // Asks the mirrors to apply soon up to `lsn`, since space waits for it. Returns at once.
  virtual void RequestApply(Lsn lsn) = 0;

  // Space has waited for `stuck` without applied() growing. Once that is longer than a mirror may
  // hold the mount up, those that have not applied up to `lsn` are taken off the list, durably, as
  // by Wait(), however lively they answer (R10). Fails as Wait() does.
  virtual Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) = 0;
};

// A filesystem without mirrors.
class NoReplication final : public ReplicationSink {
 public:
  void Post(const ReplicationBatch&) override {}
  Status Wait() override { return {}; }
  Lsn applied() const noexcept override { return kNoMirror; }
  void RequestApply(Lsn) override {}
  Status DropLaggards(Lsn, std::chrono::nanoseconds) override { return {}; }
};

}  // namespace mirdax
