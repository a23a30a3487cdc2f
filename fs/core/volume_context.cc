// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/volume_context.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "fs/base/mutant.h"
#include "fs/format/dir_hash.h"

namespace mirdax {
namespace {

constexpr size_t kCachedInodes = 8192;
constexpr int kReclaimAttempts = 3;

uint64_t PendingBytesOf(const Inode& inode) MIRDAX_REQUIRES_SHARED(inode.mutex) {
  return inode.pending.blocks() * kBlockSize + inode.dirty.bytes();
}

Timestamp TimeOf(const InodeDisk& disk, TimeIndex index) {
  return {disk.seconds[index], disk.nanoseconds[index]};
}

}  // namespace

VolumeContext::VolumeContext(Pool& pool, PrivateStore& store, Clock& clock_seam,
                             const VolumeOptions& opts, std::unique_ptr<TransactionManager> manager,
                             std::unique_ptr<Allocator> space)
    : region(pool.region()),
      private_store(store),
      clock(clock_seam),
      options(opts),
      transactions(std::move(manager)),
      allocator(std::move(space)),
      table(*transactions),
      extents(*allocator),
      directory(*allocator, pool.superblock().hash_seed),
      xattrs(*allocator),
      lookups(pool.geometry().inode_count),
      cache([this](Ino ino) { return table.Read(ino); },
            std::min<size_t>(kCachedInodes, pool.geometry().inode_count)) {}

Result<std::unique_ptr<VolumeContext>> VolumeContext::Open(Pool& pool, PrivateStore& private_store,
                                                           ReplicationSink& sink, Clock& clock,
                                                           const VolumeOptions& options) {
  MIRDAX_ASSIGN(auto transactions,
                TransactionManager::Start(pool.region(), pool.geometry(), private_store, sink));
  MIRDAX_ASSIGN(auto allocator, Allocator::Open(*transactions));
  if (options.allocator_seam) allocator = options.allocator_seam(std::move(allocator));
  return std::unique_ptr<VolumeContext>(new VolumeContext(
      pool, private_store, clock, options, std::move(transactions), std::move(allocator)));
}

Status VolumeContext::CheckWritable() const {
  if (options.read_only) return Fail(ErrorCode::kReadOnly);
  if (unmounted.load() || transactions->shut_down()) return Fail(ErrorCode::kShutdown);
  return {};
}

Result<InodeRef> VolumeContext::Get(Ino ino) {
  if (ino == 0 || ino >= transactions->geometry().inode_count) return Fail(ErrorCode::kNotFound);
  return cache.Get(ino);
}

Status VolumeContext::WriteInode(Tx& tx, Inode& inode) {
  inode.last_transaction = tx.id();
  MIRDAX_TRY(OrAbort(tx, table.Write(tx, inode.disk)));
  inode.attributes_dirty = false;
  return {};
}

Status VolumeContext::CheckMedium(uint64_t before) {
  if (const uint64_t count = region.bad().count();
      count != bad_reported_.load(std::memory_order_relaxed)) {
    bad_reported_.store(count, std::memory_order_relaxed);
    const std::vector<BadRange> found = region.bad().List();
    if (!found.empty()) {
      const BadRange& last = found.back();
      spdlog::critical("the medium refuses {} bytes at {} of the pool, {}; {} such ranges in all",
                       last.range.length, last.range.offset,
                       last.metadata ? "which may be metadata: the filesystem stops"
                                     : "which are file data: they read as an error",
                       found.size());
    }
  }
  if (losses() == before || Mutated(Mutant::kPoisonCommitted)) return {};
  const Error why = DescribeLoss(region.bad());
  transactions->ShutDown(why);
  return Fail(why);
}

Status VolumeContext::OrAbort(Tx& tx, Status status) {
  if (!status) tx.Abort(status.error());
  return status;
}

Status VolumeContext::Retry(const std::function<Status()>& attempt) {
  for (int i = 0; i < kReclaimAttempts; ++i) {
    Status status = attempt();
    if (status || status.error().code != ErrorCode::kBusy) return status;
    if (Status reclaimed = allocator->Reclaim(); !reclaimed) {
      if (reclaimed.error().code != ErrorCode::kNoSpace) return reclaimed;
      // Nothing (more) to wait for: one last attempt tells kNoSpace from luck.
      status = attempt();
      if (status || status.error().code != ErrorCode::kBusy) return status;
      break;
    }
  }
  return Fail(ErrorCode::kNoSpace);
}

Status VolumeContext::Settle(TxId id) {
  if (!options.sync_always) return {};
  return transactions->Commit(id);
}

void VolumeContext::Touch(InodeDisk& disk, std::initializer_list<TimeIndex> which) {
  const Timestamp now = clock.Now();
  for (const TimeIndex index : which) {
    disk.seconds[index] = now.seconds;
    disk.nanoseconds[index] = now.nanoseconds;
  }
}

Attributes VolumeContext::AttributesOf(const Inode& inode) const {
  const InodeDisk& disk = inode.disk;
  Attributes result;
  result.ino = inode.ino;
  result.generation = disk.generation;
  result.mode = disk.mode;
  result.nlink = disk.nlink;
  result.uid = disk.uid;
  result.gid = disk.gid;
  const uint32_t type = disk.mode & 0170000;
  if (type == 0020000 || type == 0060000) {
    std::memcpy(&result.rdev, disk.payload.data(), sizeof(result.rdev));
  }
  result.size = IsRegular(disk) ? inode.size : disk.size;
  result.blocks = (disk.blocks + inode.pending.reserved_blocks()) * (kBlockSize / 512);
  result.atime = TimeOf(disk, kAtime);
  result.mtime = TimeOf(disk, kMtime);
  result.ctime = TimeOf(disk, kCtime);
  result.btime = TimeOf(disk, kBtime);
  return result;
}

PendingAccount::PendingAccount(VolumeContext& volume, Inode& inode) MIRDAX_NO_THREAD_SAFETY_ANALYSIS
    : volume_(volume),
      inode_(inode),
      bytes_(PendingBytesOf(inode)),
      extents_(inode.pending.count()) {}

PendingAccount::~PendingAccount() MIRDAX_NO_THREAD_SAFETY_ANALYSIS {
  volume_.pending_bytes.fetch_add(PendingBytesOf(inode_) - bytes_);
  volume_.pending_extents.fetch_add(inode_.pending.count() - extents_);
}

}  // namespace mirdax
