// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/reaper.h"

#include <spdlog/spdlog.h>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr uint32_t kFreeCredits =
    kExtentCredits + kXattrCredits + kInodeCredits + kOrphanCredits + 2;

bool HasExtents(const InodeDisk& disk) {
  return IsRegular(disk) || (IsSymlink(disk) && (disk.flags & kInodeInlineLink) == 0);
}

}  // namespace

void Reaper::Doom(Ino ino) {
  MutexLock lock(mutex_);
  if (doomed_.insert(ino).second) doomed_count_.fetch_add(1);
}

void Reaper::Pardon(Ino ino) {
  MutexLock lock(mutex_);
  if (doomed_.erase(ino) > 0) doomed_count_.fetch_sub(1);
}

bool Reaper::IsDoomed(Ino ino) {
  if (doomed_count_.load() == 0) return false;
  MutexLock lock(mutex_);
  return doomed_.contains(ino);
}

void Reaper::Release(Ino ino, uint64_t count) {
  if (volume_.lookups.Subtract(ino, count) == 0) Reap(ino);
}

void Reaper::Reap(Ino ino) {
  if (!IsDoomed(ino) || !volume_.CheckWritable()) return;
  const Status status = [&]() -> Status {
    MIRDAX_ASSIGN(const MemoryReserve reserve, MemoryReserve::Open());
    MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
    return ReapReferenced(*inode, false);
  }();
  if (!status && status.error().code != ErrorCode::kNotFound) {
    left_.store(true);
    if (status.error().code == ErrorCode::kNoMemory) return;  // not even for a line in the log
    spdlog::warn("inode {} stays on the orphan list: {} ({})", ino, status.error().message,
                 ErrorCodeName(status.error().code));
  }
}

void Reaper::ReapLeft() {
  if (!left_.exchange(false) || Mutated(Mutant::kOrphanForgotten)) return;
  for (const Ino ino : Doomed()) {
    if (volume_.lookups.Count(ino) == 0) Reap(ino);
  }
}

std::vector<Ino> Reaper::Doomed() {
  MutexLock lock(mutex_);
  return {doomed_.begin(), doomed_.end()};
}

Status Reaper::ReapReferenced(Inode& inode, bool even_if_counted) {
  return volume_.Retry([&]() -> Status {
    WriteLock lock(inode.mutex);
    if (inode.freed || inode.disk.nlink > 0) return {};
    if (!even_if_counted && volume_.lookups.Count(inode.ino) > 0) return {};
    return Free(inode);
  });
}

Status Reaper::Free(Inode& inode) {
  space_.DropPending(inode, 0, kMaxFileBlocks);
  space_.ForgetDirty(inode, 0);
  uint64_t first = 0;
  for (;;) {
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kFreeCredits));
    if (HasExtents(inode.disk)) {
      MIRDAX_ASSIGN(first, volume_.extents.Remove(tx, inode.disk, first, kMaxFileBlocks));
      if (first < kMaxFileBlocks) {
        MIRDAX_TRY(volume_.WriteInode(tx, inode));
        continue;
      }
    }
    if (inode.disk.xattr_block != 0) {
      if (Status removed = volume_.xattrs.RemoveAll(tx, inode.disk); !removed) {
        MIRDAX_TRY(volume_.WriteInode(tx, inode));
        return removed;
      }
    }
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Remove(tx, inode.disk)));
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.table.Clear(tx, inode.ino)));
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.allocator->FreeInode(tx, inode.ino)));
    // Before the number can be given out again: it is only reused once `tx` is stable.
    Pardon(inode.ino);
    volume_.cache.MarkClean(inode);
    volume_.cache.Discard(inode);
    volume_.freed.store(true);
    return {};
  }
}

Status Reaper::FreeOrTrim(Ino ino) {
  Result<InodeRef> inode = volume_.Get(ino);
  bool orphan = false;
  if (inode) {
    ReadLock lock((*inode)->mutex);
    orphan = ((*inode)->disk.flags & kInodeOrphan) != 0;
  } else if (inode.error().code != ErrorCode::kNotFound &&
             inode.error().code != ErrorCode::kCorrupt) {
    return Fail(inode.error());
  }
  if (!orphan) {
    spdlog::warn("inode {} has an orphan bit and is no orphan: run fsck.mirdax", ino);
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kOrphanCredits));
    return volume_.orphan_list.Drop(tx, ino);
  }
  Inode& held = **inode;
  return volume_.Retry([&]() -> Status {
    WriteLock lock(held.mutex);
    if (held.disk.nlink == 0) return Free(held);
    return IsRegular(held.disk) ? space_.Trim(held, held.size)
                                : Status(Fail(ErrorCode::kCorrupt, "inode {} is an orphan", ino));
  });
}

Status Reaper::ReapAllAtMount() {
  if (Mutated(Mutant::kOrphansNotFreed)) return {};
  Ino ino = 0;
  for (;;) {
    MIRDAX_ASSIGN(ino, volume_.orphan_list.Next(*volume_.transactions, ino));
    if (ino == 0) return {};
    if (Status status = FreeOrTrim(ino); !status) {
      if (volume_.transactions->shut_down()) return status;
      spdlog::warn("inode {} stays an orphan: {} ({}); run fsck.mirdax", ino,
                   status.error().message, ErrorCodeName(status.error().code));
    }
  }
}

void Reaper::ReapAllAtUnmount() {
  for (const Ino ino : Doomed()) {
    const Result<InodeRef> inode = volume_.Get(ino);
    if (!inode) continue;  // freed meanwhile, or damaged: the orphan list has it
    const Status status = ReapReferenced(**inode, true);
    if (!status) {
      spdlog::warn("inode {} is left to the next mount: {}", ino, status.error().message);
    }
  }
}

}  // namespace mirdax
