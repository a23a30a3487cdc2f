// SPDX-License-Identifier: BSD-2-Clause
// Makes inodes durable: on request, at the commit interval, and when too much waits.
//
//  S1 (R1) blocks are mapped, or stored in place, only in a transaction that was given their bytes
//     with AddData(): a record never points at data that is not durable.
//  S2 size reaches disk.size only with the blocks below it (Inode, N2); with as many of them as one
//     transaction takes at once, so that a crash shows no size that only some of the writes make.
//  S3 a sync that failed stays failed: what is not yet in a transaction stays dirty, and a failed
//     commit stops the filesystem.
#pragma once

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "fs/core/volume_context.h"

namespace mirdax {

// Threads: every method by any; one Tick() at a time, others wait for it.
// Locks:   Store() needs the inode's; the others take inode locks, one at a time.
class Syncer {
 public:
  explicit Syncer(VolumeContext& volume) : volume_(volume) {}
  ~Syncer() { Stop(); }

  // The thread that calls Tick() every commit interval, or sooner when woken.
  void Start();
  void Stop();
  void Wake() MIRDAX_EXCLUDES(wake_mutex_);

  // Moves everything unsynced of `inode` into the running transaction, without waiting for its
  // commit. data_only: times alone may stay behind. On failure what was not moved stays as it was;
  // kBusy as Allocator::Reserve.
  Status Store(Inode& inode, bool data_only) MIRDAX_REQUIRES(inode.mutex);
  // Likewise, but only what was overwritten in place.
  Status StoreDirty(Inode& inode) MIRDAX_REQUIRES(inode.mutex);

  // Durable when it returns: everything the inode held at the call.
  Status Sync(Ino ino, bool data_only);
  Status SyncAll();
  // Called by each Tick() first, without locks. Set before Start().
  void BeforeTick(std::function<void()> work) { before_tick_ = std::move(work); }
  // SyncAll(), then a checkpoint if something freed waits for one.
  Status Tick() MIRDAX_EXCLUDES(tick_mutex_);

  // A writer calls it after its write, without locks: waits when too much is pending.
  Status Throttle(Ino ino);

 private:
  Status StorePending(Inode& inode) MIRDAX_REQUIRES(inode.mutex);
  // The next few pending extents, and the size that they allow, in one transaction.
  Status StoreStep(Inode& inode) MIRDAX_REQUIRES(inode.mutex);
  // kIo when what was stored there is lost: it can never become durable.
  Status CheckStored(const PoolRange& range) const;
  // How many blocks of `extent` were done.
  Result<uint64_t> StoreExtent(Tx& tx, Inode& inode, const PendingExtent& extent)
      MIRDAX_REQUIRES(inode.mutex);
  // The pool's bytes behind the inode's dirty ranges.
  Result<std::vector<PoolRange>> DirtyPoolRanges(const Inode& inode)
      MIRDAX_REQUIRES_SHARED(inode.mutex);
  void Run() MIRDAX_EXCLUDES(wake_mutex_);

  VolumeContext& volume_;
  std::function<void()> before_tick_;
  Mutex tick_mutex_;
  Mutex wake_mutex_;
  CondVar wake_;
  bool woken_ MIRDAX_GUARDED_BY(wake_mutex_) = false;
  bool stop_ MIRDAX_GUARDED_BY(wake_mutex_) = false;
  std::thread thread_;
};

}  // namespace mirdax
