// SPDX-License-Identifier: BSD-2-Clause
// The TransactionManager: barrier, commit pipeline, journal space.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <vector>

#include "fs/core/data_ranges.h"
#include "fs/core/home_writer.h"
#include "fs/core/journal_writer.h"
#include "fs/core/overlay.h"
#include "fs/core/transaction_manager.h"

namespace mirdax {

// The right to move commit word, home and tail. One thread has it at a time; it is handed over
// under JournalledTransactions::mutex_, held while waiting for mirrors, and never needed by whoever
// a mirror's answer depends on (R10).
class MIRDAX_CAPABILITY("leadership") Leadership {
 public:
  void Assume() MIRDAX_ACQUIRE() {}
  void Resign() MIRDAX_RELEASE() {}
};

// Accounting: a live Tx holds `credits` blocks' worth of record bytes; what it dirties is counted
// on top until it ends, so the sum is never too low. The running transaction closes before that sum
// passes record_limit_ or the journal's free bytes; so a closed one fits in the journal, unless an
// operation understated its credits: then the commit itself waits for space.
//
// A failed drain or mirror wait in a commit stops the filesystem: what the failed step covered may
// or may not survive a power cut, and every later record would build on it. So a failed sync stays
// failed. So does metadata that the medium refuses: what was changed since may come of zeros that
// were read instead. It is looked for when a transaction is closed, before anything of it is
// stored.
//
// Locks: leadership > mutex_ > overlay shard. mutex_ is held for a few instructions only.
class JournalledTransactions final : public TransactionManager {
 public:
  JournalledTransactions(Region& region, const Geometry& geometry, PrivateStore& private_store,
                         ReplicationSink& sink, Lsn commit);

  Result<BlockView> Read(BlockNo block, BlockKind kind) override;
  const Geometry& geometry() const noexcept override { return geometry_; }

  Result<Tx> Begin(uint32_t credits) override MIRDAX_EXCLUDES(mutex_);
  Status Commit(TxId id) override MIRDAX_EXCLUDES(mutex_);
  Status CommitAll() override MIRDAX_EXCLUDES(mutex_);
  Status Checkpoint(bool wait) override MIRDAX_EXCLUDES(mutex_);
  void OnStable(std::function<void(TxId id)> callback) override MIRDAX_EXCLUDES(stable_mutex_);
  TransactionStats stats() const override MIRDAX_EXCLUDES(mutex_);
  void ShutDown(const Error& why) override MIRDAX_EXCLUDES(mutex_);
  bool shut_down() const noexcept override { return shut_down_.load(std::memory_order_acquire); }

 protected:
  Result<std::byte*> ModifyBlock(Tx& tx, BlockNo block, BlockKind kind, uint64_t offset,
                                 uint64_t length) override;
  std::byte* CreateBlock(Tx& tx, BlockNo block, BlockKind kind) override;
  void ForgetBlock(Tx& tx, BlockNo block) override;
  void AddDataRange(Tx& tx, PoolRange range) override;
  void AbortTx(const Error& why) override MIRDAX_EXCLUDES(mutex_);
  void End(Tx& tx) override MIRDAX_EXCLUDES(mutex_);

 private:
  // What Close() took out of the running transaction; the record is in record_.
  struct Closed {
    TxId id = 0;
    Lsn from = 0;
    std::vector<PoolRange> data;
    Overlay::Blocks blocks;
  };

  void TakeLead() MIRDAX_ACQUIRE(leader_) MIRDAX_EXCLUDES(mutex_);
  void Resign() MIRDAX_RELEASE(leader_) MIRDAX_EXCLUDES(mutex_);

  // Commits the running transaction. kNoMemory: it goes on running, and a later commit may do;
  // other failures shut the filesystem down.
  Status CommitRunning() MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  Result<Closed> Close() MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  // Fills `closed` and takes all memory that the commit needs, while nobody holds a Tx.
  // Throws std::bad_alloc, with nothing changed.
  void Prepare(Closed& closed) MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  Status TryPublish(const Closed& closed) MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  Status Publish(const Closed& closed) MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  Status PersistHere(const Closed& closed) MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  // kIo: the medium has refused what a commit rests on.
  Status CheckMetadata() const;

  // Brings home up to the commit word and the persisted tail after it. kIo, kNoMemory: what is owed
  // stays owed.
  Status CheckpointHere() MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  // Until `bytes` of journal are free on every in-sync copy. Ends by the sink's deadlines.
  Status WaitForSpace(uint64_t bytes) MIRDAX_REQUIRES(leader_) MIRDAX_EXCLUDES(mutex_);
  // Waits until `done`, asking the mirrors to apply up to `lsn`. Ends by the sink's deadlines: a
  // mirror that does not get there leaves the list, and `done` then is true.
  Status WaitForMirrors(Lsn lsn, const std::function<bool()>& done) MIRDAX_REQUIRES(leader_)
      MIRDAX_EXCLUDES(mutex_);
  Status PingMirrors(Lsn lsn, std::chrono::nanoseconds stuck) MIRDAX_REQUIRES(leader_)
      MIRDAX_EXCLUDES(mutex_);

  uint64_t CreditBytes(uint32_t credits) const noexcept;
  uint64_t RunningBytes() const MIRDAX_REQUIRES(mutex_);  // bound of the running one's record
  uint64_t UsedBytes() const MIRDAX_REQUIRES(mutex_);     // of the journal; may exceed it
  Lsn StableLsn() const MIRDAX_REQUIRES(mutex_);
  Error WhyDown() const MIRDAX_REQUIRES(mutex_);
  void NotifyStable() MIRDAX_EXCLUDES(mutex_, stable_mutex_);

  Region& region_;
  const Geometry& geometry_;
  PrivateStore& private_store_;
  ReplicationSink& sink_;
  const uint64_t record_limit_;      // bytes of record at which the running transaction closes
  const uint64_t checkpoint_bytes_;  // journal bytes in use that start a checkpoint

  Overlay overlay_;
  DataRanges data_;
  std::atomic<bool> shut_down_{false};

  Leadership leader_;
  RecordBuilder record_ MIRDAX_GUARDED_BY(leader_);
  JournalWriter journal_ MIRDAX_GUARDED_BY(leader_);
  HomeWriter home_ MIRDAX_GUARDED_BY(leader_);

  mutable Mutex mutex_;
  CondVar idle_;    // live_ became 0
  CondVar opened_;  // closing_ became false
  CondVar led_;     // led_by_someone_ became false, or committed_ moved
  bool led_by_someone_ MIRDAX_GUARDED_BY(mutex_) = false;
  bool closing_ MIRDAX_GUARDED_BY(mutex_) = false;
  uint32_t live_ MIRDAX_GUARDED_BY(mutex_) = 0;      // Txs
  uint64_t credited_ MIRDAX_GUARDED_BY(mutex_) = 0;  // record bytes that live Txs may add
  TxId running_ MIRDAX_GUARDED_BY(mutex_) = 1;
  TxId committed_ MIRDAX_GUARDED_BY(mutex_) = 0;
  uint64_t commits_ MIRDAX_GUARDED_BY(mutex_) = 0;
  Lsn end_ MIRDAX_GUARDED_BY(mutex_);     // of the last closed record
  Lsn commit_ MIRDAX_GUARDED_BY(mutex_);  // commit word
  Lsn tail_ MIRDAX_GUARDED_BY(mutex_);    // persisted
  Error down_ MIRDAX_GUARDED_BY(mutex_){ErrorCode::kShutdown, {}};
  // Transactions whose record is not stable yet, by id, with the end of their record (kNotCommitted
  // for one that is being committed).
  std::deque<std::pair<TxId, Lsn>> unstable_ MIRDAX_GUARDED_BY(mutex_);

  Mutex stable_mutex_;
  std::function<void(TxId)> on_stable_ MIRDAX_GUARDED_BY(stable_mutex_);
};

}  // namespace mirdax
