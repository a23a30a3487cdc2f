// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/file_space.h"

#include <algorithm>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr uint32_t kStepCredits = kExtentCredits + kInodeCredits + kOrphanCredits + 4;
// One transaction maps at most this much, so that it touches few bitmap blocks.
constexpr uint64_t kBlocksPerStep = 2 * kBlocksPerGroup;

bool IsShortOfSpace(const Error& error) {
  return error.code == ErrorCode::kNoSpace || error.code == ErrorCode::kBusy;
}

// Whether what failed may be done later: nothing is damaged, and the filesystem goes on.
bool MayPass(const Error& error) {
  return IsShortOfSpace(error) || error.code == ErrorCode::kNoMemory ||
         error.code == ErrorCode::kIo;
}

}  // namespace

void FileSpace::DropPending(Inode& inode, uint64_t first, uint64_t end) {
  PendingAccount account(volume_, inode);
  for (const PendingExtent& extent : inode.pending.Take(first, end)) {
    if (extent.kind == PendingKind::kReserved) {
      volume_.allocator->Unreserve({extent.pool_block, extent.length});
    }
  }
}

void FileSpace::ForgetDirty(Inode& inode, uint64_t first) {
  PendingAccount account(volume_, inode);
  inode.dirty.Remove(first * kBlockSize, kMaxFileSize);
}

// A new size is a change of names and attributes: it is in the running transaction on return.
Status FileSpace::Resize(Inode& inode, uint64_t size) {
  if (size > kMaxFileSize) return Fail(ErrorCode::kFileTooBig);
  MIRDAX_TRY(FinishTrim(inode));
  if (size > inode.size) return GrowNow(inode, size);
  // Others' commits may come between the transactions below: what was written before goes first,
  // and the first that shows the new size has the new times too.
  MIRDAX_TRY(StoreEarlier(inode, size));
  const InodeDisk before = inode.disk;
  volume_.Touch(inode.disk, {kMtime, kCtime});
  if (size < inode.size) {
    if (Status shrunk = Shrink(inode, size); !shrunk) {
      if (inode.size != size) {  // nothing has changed
        inode.disk.seconds = before.seconds;
        inode.disk.nanoseconds = before.nanoseconds;
        return shrunk;
      }
      if (!MayPass(shrunk.error())) return shrunk;
      // It has the new size; what is beyond is freed later (FinishTrim).
      MutexLock lock(untrimmed_mutex_);
      untrimmed_.insert(inode.ino);
    }
  }
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
  if (Status stored = syncer_.Store(inode, false); !stored && !MayPass(stored.error())) {
    return stored;
  }
  return {};
}

Status FileSpace::StoreEarlier(Inode& inode, uint64_t size) {
  const std::optional<PendingExtent> first = inode.pending.FindAtOrAfter(0);
  if (!first || first->file_block >= BlocksFor(size)) return syncer_.StoreDirty(inode);
  // Without space it may as well become durable later.
  Status stored = syncer_.Store(inode, false);
  return !stored && IsShortOfSpace(stored.error()) ? Status() : stored;
}

Status FileSpace::GrowNow(Inode& inode, uint64_t size) {
  // All that may fail comes before the change.
  MIRDAX_TRY(writer_.ZeroBeyondEnd(inode, size));
  Status stored = syncer_.Store(inode, false);
  if (!stored && !IsShortOfSpace(stored.error())) return stored;
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kInodeCredits));
  inode.size = size;
  volume_.Touch(inode.disk, {kMtime, kCtime});
  if (!stored) {  // blocks below the new end still wait: it comes with them (N2)
    inode.attributes_dirty = true;
    volume_.cache.MarkDirty(inode);
    return {};
  }
  inode.disk.size = size;
  return volume_.WriteInode(tx, inode);
}

void FileSpace::TrimLeft() {
  std::unordered_set<Ino> left;
  {
    MutexLock lock(untrimmed_mutex_);
    left.swap(untrimmed_);
  }
  for (const Ino ino : left) {
    const Result<InodeRef> inode = volume_.Get(ino);
    if (!inode) continue;  // gone meanwhile, or damaged: the orphan list has it
    WriteLock lock((*inode)->mutex);
    if ((*inode)->freed || FinishTrim(**inode)) continue;
    MutexLock again(untrimmed_mutex_);
    untrimmed_.insert(ino);
  }
}

Status FileSpace::Shrink(Inode& inode, uint64_t size) {
  const uint64_t tail_bytes = size % kBlockSize;
  if (tail_bytes != 0) {
    MIRDAX_ASSIGN(const std::vector<Segment> tail,
                  MapFile(*volume_.transactions, inode, size / kBlockSize, size / kBlockSize + 1));
    if (tail.front().state == SegmentState::kUnwritten) {
      // Before its zeroing is durable the block still is written in the file that a crash leaves,
      // and what is appended behind the new end would show there.
      MIRDAX_TRY(volume_.transactions->Commit(inode.last_transaction));
    }
    if (tail.front().state == SegmentState::kWritten && size < inode.disk.size &&
        !Mutated(Mutant::kShrinkInPlace)) {
      const Status replaced = ReplaceTail(inode, size, tail.front());
      if (!replaced && IsShortOfSpace(replaced.error())) {
        // Without a block to spare the tail stays where it is. Then the shorter size must be
        // durable before anything can be stored behind it.
        MIRDAX_TRY(Trim(inode, size));
        return volume_.transactions->Commit(inode.last_transaction);
      }
      MIRDAX_TRY(replaced);
    }
  }
  return Trim(inode, size);
}

Status FileSpace::ReplaceTail(Inode& inode, uint64_t size, const Segment& tail) {
  PendingAccount account(volume_, inode);
  const uint64_t tail_bytes = size % kBlockSize;
  MIRDAX_ASSIGN(const BlockRun fresh,
                volume_.allocator->Reserve(1, tail.pool_block, SpaceUse::kMetadata));
  const uint64_t from = tail.pool_block * kBlockSize;
  const uint64_t to = fresh.start * kBlockSize;
  if (Status readable = volume_.CheckMetadata(); !readable) {
    volume_.allocator->Unreserve(fresh);
    return readable;
  }
  {
    const FileDataAccess access;
    volume_.region.Stream(to, {volume_.region.At(from, tail_bytes), tail_bytes});
    volume_.region.StreamZeros(to + tail_bytes, kBlockSize - tail_bytes);
  }
  MIRDAX_TRY(volume_.region.CheckGood(to, kBlockSize));  // else it stays reserved
  if (Status copied = volume_.region.CheckGood(from, tail_bytes); !copied) {
    volume_.allocator->Unreserve(fresh);
    return copied;
  }
  Result<Tx> tx = volume_.transactions->Begin(kStepCredits);
  const Result<uint64_t> done =
      tx ? volume_.extents.Map(*tx, inode.disk, Extent{tail.file_block, fresh.start, 1, 0})
         : Result<uint64_t>(Fail(tx.error()));
  if (!done) {
    volume_.allocator->Unreserve(fresh);
    return Fail(done.error());
  }
  MIRDAX_TRY(volume_.OrAbort(*tx, volume_.allocator->Use(*tx, fresh)));
  tx->AddData({to, kBlockSize});
  inode.dirty.Remove(tail.file_block * kBlockSize, (tail.file_block + 1) * kBlockSize);
  inode.disk.size = inode.size = size;
  // Blocks behind the new end go in transactions of their own: until then, an orphan.
  MIRDAX_TRY(volume_.OrAbort(*tx, volume_.orphan_list.Add(*tx, inode.disk)));
  volume_.freed.store(true);
  return volume_.WriteInode(*tx, inode);
}

Status FileSpace::FinishTrim(Inode& inode) {
  const bool being_trimmed = inode.disk.nlink > 0 && (inode.disk.flags & kInodeOrphan) != 0;
  return being_trimmed ? Trim(inode, inode.size) : Status();
}

Status FileSpace::Trim(Inode& inode, uint64_t size) {
  const uint64_t end = BlocksFor(size);
  const uint64_t mapped =
      Mutated(Mutant::kTruncationKeepsBlocks) ? BlocksFor(inode.disk.size) : kMaxFileBlocks;
  for (uint64_t first = end;;) {
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kStepCredits));
    MIRDAX_ASSIGN(const uint64_t next, volume_.extents.Remove(tx, inode.disk, first, mapped));
    DropPending(inode, end, kMaxFileBlocks);
    ForgetDirty(inode, end);
    inode.size = size;
    const bool stored = inode.pending.empty() && inode.dirty.empty();
    inode.disk.size = stored ? size : std::min(inode.disk.size, size);
    const bool done = next >= mapped;
    if (!done) {
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Add(tx, inode.disk)));
    } else if (inode.disk.nlink > 0) {  // without links it stays an orphan
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Remove(tx, inode.disk)));
    }
    MIRDAX_TRY(volume_.WriteInode(tx, inode));
    volume_.freed.store(true);
    if (done) return {};
    first = next;
  }
}

Status FileSpace::Allocate(Inode& inode, AllocateMode mode, uint64_t offset, uint64_t length) {
  if (length == 0 || offset + length < offset) return Fail(ErrorCode::kInvalid);
  const uint64_t end = offset + length;
  if (end > kMaxFileSize) return Fail(ErrorCode::kFileTooBig);
  MIRDAX_TRY(FinishTrim(inode));
  const uint64_t first = offset / kBlockSize;
  switch (mode) {
    case AllocateMode::kAllocate:
    case AllocateMode::kAllocateKeepSize:
      MIRDAX_TRY(FillHoles(inode, first, BlocksFor(end)));
      break;
    case AllocateMode::kPunchHole:
      MIRDAX_TRY(Punch(inode, offset, end));
      break;
    case AllocateMode::kZeroRange:
    case AllocateMode::kZeroRangeKeepSize:
      MIRDAX_TRY(FillHoles(inode, first, BlocksFor(end)));
      MIRDAX_TRY(ZeroRange(inode, offset, end));
      break;
  }
  if (mode == AllocateMode::kAllocate || mode == AllocateMode::kZeroRange) {
    MIRDAX_TRY(writer_.Grow(inode, end));
  }
  volume_.Touch(inode.disk, {kMtime, kCtime});
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
  return {};
}

Status FileSpace::Punch(Inode& inode, uint64_t begin, uint64_t end) {
  uint64_t first = BlocksFor(begin);
  const uint64_t last = end / kBlockSize;
  if (first >= last || Mutated(Mutant::kPunchKeepsBlocks)) {
    // No whole block, at most one edge on each side.
    return writer_.Zero(inode, begin, end);
  }
  // The whole blocks first: the edges cannot fail for want of anything.
  const uint64_t whole = first;
  MIRDAX_TRY(writer_.FindBad(inode, begin, whole * kBlockSize));
  MIRDAX_TRY(writer_.FindBad(inode, last * kBlockSize, end));
  while (first < last) {
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kStepCredits));
    MIRDAX_ASSIGN(const uint64_t next, volume_.extents.Remove(tx, inode.disk, first, last));
    DropPending(inode, first, next);
    first = next;
    MIRDAX_TRY(volume_.WriteInode(tx, inode));
    volume_.freed.store(true);
  }
  MIRDAX_TRY(writer_.Zero(inode, begin, whole * kBlockSize));
  return writer_.Zero(inode, last * kBlockSize, end);
}

Status FileSpace::ZeroRange(Inode& inode, uint64_t begin, uint64_t end) {
  uint64_t first = BlocksFor(begin);
  const uint64_t last = end / kBlockSize;
  if (first >= last) return writer_.Zero(inode, begin, end);
  // What waits gets its blocks first, so that a failure leaves the bytes as they were.
  const std::optional<PendingExtent> pending = inode.pending.FindAtOrAfter(first);
  if (pending && pending->file_block < last) MIRDAX_TRY(syncer_.Store(inode, true));
  const uint64_t whole = first;
  MIRDAX_TRY(writer_.FindBad(inode, begin, whole * kBlockSize));
  MIRDAX_TRY(writer_.FindBad(inode, last * kBlockSize, end));
  while (first < last) {
    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kStepCredits));
    MIRDAX_ASSIGN(first, Mutated(Mutant::kZeroFreesBlocks)
                             ? volume_.extents.Remove(tx, inode.disk, first, last)
                             : volume_.extents.SetUnwritten(tx, inode.disk, first, last, true));
    MIRDAX_TRY(volume_.WriteInode(tx, inode));
  }
  MIRDAX_TRY(writer_.Zero(inode, begin, whole * kBlockSize));
  return writer_.Zero(inode, last * kBlockSize, end);
}

Status FileSpace::FillHoles(Inode& inode, uint64_t first, uint64_t end) {
  if (Mutated(Mutant::kPreallocationCutShort) && end > first + 1) --end;
  MIRDAX_ASSIGN(std::vector<Segment> segments, MapFile(*volume_.transactions, inode, first, end));
  uint64_t wanted = 0;
  for (const Segment& segment : segments) {
    if (segment.state == SegmentState::kHole) wanted += segment.length;
  }
  if (wanted == 0) return {};
  // Quarantined blocks count as available: Reserve() says kBusy when it needs them.
  if (wanted > volume_.allocator->stats().blocks_available) return Fail(ErrorCode::kNoSpace);
  MIRDAX_TRY(writer_.ReserveHoles(inode, &segments));
  const bool short_of_space = segments.empty() || segments.back().end() < end;
  Status status = short_of_space ? Status(Fail(ErrorCode::kNoSpace)) : Status();
  for (const Segment& segment : segments) {
    if (segment.state != SegmentState::kHole) continue;
    if (status && !Mutated(Mutant::kPreallocationForgotten))
      status = MapUnwritten(inode, segment);
    else if (!Mutated(Mutant::kHolesLeaked))
      volume_.allocator->Unreserve({segment.pool_block, segment.length});
  }
  return status;
}

Status FileSpace::MapUnwritten(Inode& inode, const Segment& run) {
  uint64_t done = 0;
  Status status;
  while (status && done < run.length) {
    status = [&]() MIRDAX_NO_THREAD_SAFETY_ANALYSIS -> Status {
      MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kStepCredits));
      const Extent extent{run.file_block + done, run.pool_block + done,
                          static_cast<uint32_t>(std::min(run.length - done, kBlocksPerStep)),
                          Mutated(Mutant::kUnwrittenAsWritten) ? 0 : kExtentUnwritten};
      MIRDAX_ASSIGN(const uint64_t next, volume_.extents.Map(tx, inode.disk, extent));
      const uint64_t blocks = next - extent.file_block;
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.allocator->Use(tx, {extent.pool_block, blocks})));
      done += blocks;
      return volume_.WriteInode(tx, inode);
    }();
  }
  if (done < run.length) {
    volume_.allocator->Unreserve({run.pool_block + done, run.length - done});
  }
  return status;
}

}  // namespace mirdax
