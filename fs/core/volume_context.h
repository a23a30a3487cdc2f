// SPDX-License-Identifier: BSD-2-Clause
// What the parts of a mounted volume share: the structures on PM, the in-core tables, the options.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "fs/core/allocator.h"
#include "fs/core/directory.h"
#include "fs/core/extent_tree.h"
#include "fs/core/inode_cache.h"
#include "fs/core/inode_table.h"
#include "fs/core/lookup_table.h"
#include "fs/core/orphan_list.h"
#include "fs/core/transaction_manager.h"
#include "fs/core/volume.h"
#include "fs/core/xattr_block.h"
#include "fs/pmem/pool.h"

namespace mirdax {

// Threads: every method by any, under the locks they name.
class VolumeContext {
 public:
  static Result<std::unique_ptr<VolumeContext>> Open(Pool& pool, PrivateStore& private_store,
                                                     ReplicationSink& sink, Clock& clock,
                                                     const VolumeOptions& options);

  // kReadOnly on a read-only mount, kShutdown once the volume stopped.
  Status CheckWritable() const;

  // kNotFound for numbers that are no inode.
  Result<InodeRef> Get(Ino ino);

  // Stores inode.disk in the running transaction. A failure stops the filesystem: by now the
  // operation has changed something.
  Status WriteInode(Tx& tx, Inode& inode) MIRDAX_REQUIRES(inode.mutex);
  // How often the medium has refused what may be metadata.
  uint64_t losses() const noexcept { return region.bad().in_metadata(); }
  // The end of a call that began when losses() was `before`. kIo: it may have used zeros that were
  // read in place of metadata, so its result is worth nothing; and the filesystem has stopped.
  // Also says in the log what the medium has refused.
  Status CheckMedium(uint64_t before);
  // Before a place that metadata named is stored to: kIo once any metadata was refused.
  Status CheckMetadata() { return CheckMedium(0); }
  // Passes `status` on; a failure stops the filesystem (the operation cannot be undone).
  Status OrAbort(Tx& tx, Status status);

  // Runs `attempt`, which holds no lock when it returns. While it says kBusy (space waits in
  // quarantine), reclaims and runs it again; kNoSpace when that does not help.
  Status Retry(const std::function<Status()>& attempt);

  // With sync_always, waits until transaction `id` is durable.
  Status Settle(TxId id);

  // Sets times to now in core.
  void Touch(InodeDisk& disk, std::initializer_list<TimeIndex> which);
  Attributes AttributesOf(const Inode& inode) const MIRDAX_REQUIRES_SHARED(inode.mutex);

  Region& region;
  PrivateStore& private_store;
  Clock& clock;
  const VolumeOptions options;
  const std::unique_ptr<TransactionManager> transactions;
  const std::unique_ptr<Allocator> allocator;
  InodeTable table;
  OrphanList orphan_list;
  ExtentTree extents;
  Directory directory;
  XattrBlock xattrs;
  LookupTable lookups;
  InodeCache cache;

  // Written and not yet durable, over all inodes.
  std::atomic<uint64_t> pending_bytes{0};
  std::atomic<uint64_t> pending_extents{0};
  // Something was freed since the last checkpoint.
  std::atomic<bool> freed{false};
  std::atomic<bool> unmounted{false};

 private:
  std::atomic<uint64_t> bad_reported_{0};  // of region.bad().count()

  VolumeContext(Pool& pool, PrivateStore& store, Clock& clock_seam, const VolumeOptions& opts,
                std::unique_ptr<TransactionManager> manager, std::unique_ptr<Allocator> space);
};

// While it lives, what an inode adds to the volume's pending totals may change; the end of its life
// settles the difference. REQUIRES: the inode's mutex held exclusively throughout.
class PendingAccount {
 public:
  PendingAccount(VolumeContext& volume, Inode& inode);
  ~PendingAccount();
  PendingAccount(const PendingAccount&) = delete;
  PendingAccount& operator=(const PendingAccount&) = delete;

 private:
  VolumeContext& volume_;
  Inode& inode_;
  const uint64_t bytes_;
  const uint64_t extents_;
};

inline bool IsDirectory(const InodeDisk& disk) noexcept { return (disk.mode & 0170000) == 0040000; }
inline bool IsRegular(const InodeDisk& disk) noexcept { return (disk.mode & 0170000) == 0100000; }
inline bool IsSymlink(const InodeDisk& disk) noexcept { return (disk.mode & 0170000) == 0120000; }
inline uint8_t DirentType(uint32_t mode) noexcept {
  return static_cast<uint8_t>((mode & 0170000) >> 12);
}

constexpr uint64_t BlocksFor(uint64_t bytes) noexcept {
  return (bytes + kBlockSize - 1) / kBlockSize;
}

}  // namespace mirdax
