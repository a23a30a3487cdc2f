// SPDX-License-Identifier: BSD-2-Clause
// Owns the running transaction, the overlay and the commit. See transaction.h for the picture.
#pragma once

#include <memory>

#include "fs/core/transaction.h"

namespace mirdax {

struct TransactionStats {
  Lsn commit = 0;        // commit word of this copy
  Lsn tail = 0;          // persisted tail
  Lsn journal_free = 0;  // bytes
  TxId committed = 0;    // every transaction up to this one is durable, here and on the mirrors
  TxId newest = 0;       // the newest one that changes metadata, committed or not
  uint64_t commits = 0;
};

// Units:   credits are metadata blocks that one operation may touch, at most.
// Errors:  kShutdown once a commit failed (PM layer, kStale or kIo of the sink) or a Tx was
// aborted:
//          nothing is acknowledged any more; the message holds the cause. kIo from Begin() and
//          Checkpoint(): home or tail is not durable; may be tried again. kNoMemory: nothing was
//          changed or committed; may be tried again. A Tx that ends by an exception after its first
//          change counts as aborted.
// Threads: every method by any.
class TransactionManager : public MetaReader {
 public:
  // REQUIRES: the journal was replayed: private_store's tail is the commit word.
  static Result<std::unique_ptr<TransactionManager>> Start(Region& region, const Geometry& geometry,
                                                           PrivateStore& private_store,
                                                           ReplicationSink& sink);

  // Joins the running transaction. Waits (without holding anything of the manager) while the
  // journal has no room; that wait is bounded by the sink's deadlines.
  // REQUIRES: the calling thread holds no other Tx.
  virtual Result<Tx> Begin(uint32_t credits) = 0;

  // Returns when transaction `id` is durable here and on every in-sync mirror. Concurrent callers
  // share one record and one round trip.
  virtual Status Commit(TxId id) = 0;
  // Commits whatever is running.
  virtual Status CommitAll() = 0;

  // Applies and persists home and moves the persisted tail as far as it will go here. Asks the
  // mirrors to do the same. `wait`: until the mirrors have applied what was committed at the call
  // (that wait is bounded by the sink's deadlines).
  virtual Status Checkpoint(bool wait) = 0;

  // Called (from any thread, no lock of the manager held) when the records of every transaction up
  // to `id` lie below the tail of every in-sync copy: what they freed may be used again (R2).
  virtual void OnStable(std::function<void(TxId id)> callback) = 0;

  // Stops the filesystem, as a commit that fails does.
  virtual void ShutDown(const Error& why) = 0;

  virtual TransactionStats stats() const = 0;
  virtual bool shut_down() const noexcept = 0;

 protected:
  friend class Tx;
  virtual Result<std::byte*> ModifyBlock(Tx& tx, BlockNo block, BlockKind kind, uint64_t offset,
                                         uint64_t length) = 0;
  virtual std::byte* CreateBlock(Tx& tx, BlockNo block, BlockKind kind) = 0;
  virtual void ForgetBlock(Tx& tx, BlockNo block) = 0;
  virtual void AddDataRange(Tx& tx, PoolRange range) = 0;
  virtual void AbortTx(const Error& why) = 0;
  virtual void End(Tx& tx) = 0;

  Tx Join(TxId id, uint32_t credits) { return Tx(this, id, credits); }
  static uint32_t CreditsOf(const Tx& tx) noexcept { return tx.credits_; }
};

}  // namespace mirdax
