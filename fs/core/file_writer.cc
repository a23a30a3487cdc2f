// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/file_writer.h"

#include <algorithm>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr uint64_t LineDown(uint64_t offset) { return offset & ~(kLineSize - 1); }
constexpr uint64_t LineUp(uint64_t offset) { return LineDown(offset + kLineSize - 1); }

}  // namespace

Status FileWriter::ReserveHoles(const Inode& inode, std::vector<Segment>* segments) {
  // Close behind what comes before in the file, so that files grow in one run.
  BlockNo goal = 0;
  if (!segments->empty() && segments->front().file_block > 0) {
    const uint64_t before = segments->front().file_block - 1;
    if (const std::optional<PendingExtent> pending = inode.pending.Find(before)) {
      goal = pending->pool_block + 1;
    } else if (segments->front().state == SegmentState::kHole) {
      MIRDAX_ASSIGN(const Mapping mapping,
                    ExtentTree::Find(*volume_.transactions, inode.disk, before));
      if (!mapping.hole()) goal = mapping.pool_block + 1;
    }
  }
  std::vector<Segment> result;
  for (const Segment& segment : *segments) {
    if (segment.state != SegmentState::kHole) {
      result.push_back(segment);
      goal = segment.pool_block + segment.length;
      continue;
    }
    for (uint64_t at = segment.file_block; at < segment.end();) {
      const Result<BlockRun> run =
          volume_.allocator->Reserve(segment.end() - at, goal, SpaceUse::kData);
      if (!run) {
        // kBusy: quarantined space would help, so begin again when it is free.
        if (run.error().code == ErrorCode::kBusy || result.empty()) {
          UnreserveHoles(result);
          return Fail(run.error());
        }
        *segments = std::move(result);
        return {};
      }
      result.push_back({at, run->length, run->start, SegmentState::kHole});
      at += run->length;
      goal = run->start + run->length;
    }
  }
  *segments = std::move(result);
  return {};
}

void FileWriter::UnreserveHoles(const std::vector<Segment>& segments) {
  for (const Segment& segment : segments) {
    if (segment.state == SegmentState::kHole) {
      volume_.allocator->Unreserve({segment.pool_block, segment.length});
    }
  }
}

bool FileWriter::IsGood(BlockNo block) const {
  if (Mutated(Mutant::kPoisonedStore)) return true;
  return volume_.region.CheckGood(block * kBlockSize, kBlockSize).has_value();
}

uint64_t FileWriter::GoodBlocks(const Segment& segment) const {
  if (!volume_.region.bad().any()) return segment.length;
  uint64_t good = 0;
  while (good < segment.length && IsGood(segment.pool_block + good)) ++good;
  return good;
}

uint64_t FileWriter::StoreSegment(Inode& inode, const Segment& segment, uint64_t offset,
                                  std::span<const std::byte> bytes) {
  const uint64_t start = segment.file_block * kBlockSize;
  const uint64_t end = segment.end() * kBlockSize;
  const uint64_t from = std::max(start, offset);
  const uint64_t to = std::min(end, offset + bytes.size());
  const uint64_t pool = segment.pool_block * kBlockSize;
  const bool hole = segment.state == SegmentState::kHole;
  const bool fresh = hole || segment.state == SegmentState::kUnwritten;
  const bool zeroed = fresh && !Mutated(Mutant::kFreshBlockNotZeroed);
  const auto store = [&](uint64_t first, uint64_t last) {
    volume_.region.Stream(pool + (first - start), bytes.subspan(first - offset, last - first));
  };
  uint64_t good = segment.length;
  {
    const FileDataAccess access;
    if (zeroed && from > start) volume_.region.StreamZeros(pool, from - start);
    if (fresh) {
      store(from, to);
      if (zeroed && to < end) volume_.region.StreamZeros(pool + (to - start), end - to);
      good = GoodBlocks(segment);
    } else {
      // Others see it at once: what comes behind a refused block is not touched.
      for (uint64_t at = from; at < to && good == segment.length;) {
        const uint64_t next = std::min(to, (at / kBlockSize + 1) * kBlockSize);
        store(at, next);
        const uint64_t block = (at - start) / kBlockSize;
        if (!IsGood(segment.pool_block + block)) good = block;
        at = next;
      }
    }
  }
  if (fresh && good != 0) {
    inode.pending.Add({segment.file_block, segment.pool_block, good,
                       hole ? PendingKind::kReserved : PendingKind::kUnwritten});
  } else if (segment.state == SegmentState::kWritten) {
    const uint64_t taken = std::min(to, start + good * kBlockSize);
    if (from < taken) inode.dirty.Add(LineDown(from), LineUp(taken));
  }
  for (uint64_t i = good; hole && i < segment.length; ++i) {
    if (IsGood(segment.pool_block + i)) volume_.allocator->Unreserve({segment.pool_block + i, 1});
  }
  return good;
}

Status FileWriter::FindBad(const Inode& inode, uint64_t begin, uint64_t end) {
  if (begin >= end) return {};
  MIRDAX_ASSIGN(const std::vector<Segment> segments,
                MapFile(*volume_.transactions, inode, begin / kBlockSize, BlocksFor(end)));
  for (const Segment& segment : segments) {
    if (!segment.has_data()) continue;
    const uint64_t at = segment.pool_block * kBlockSize;
    const uint64_t length = segment.length * kBlockSize;
    mirdax::FindBad({volume_.region.At(at, length), length});
    MIRDAX_TRY(volume_.region.CheckGood(at, length));
  }
  return {};
}

Status FileWriter::Zero(Inode& inode, uint64_t begin, uint64_t end) {
  if (begin >= end) return {};
  MIRDAX_TRY(FindBad(inode, begin, end));
  PendingAccount account(volume_, inode);
  MIRDAX_ASSIGN(const std::vector<Segment> segments,
                MapFile(*volume_.transactions, inode, begin / kBlockSize, BlocksFor(end)));
  MIRDAX_TRY(volume_.CheckMetadata());
  Status stored;
  for (const Segment& segment : segments) {
    if (!segment.has_data()) continue;
    const uint64_t start = segment.file_block * kBlockSize;
    const uint64_t from = std::max(start, begin);
    const uint64_t to = std::min(segment.end() * kBlockSize, end);
    const uint64_t at = segment.pool_block * kBlockSize + (from - start);
    const FileDataAccess access;
    volume_.region.StreamZeros(at, to - from);
    if (segment.state == SegmentState::kWritten) inode.dirty.Add(LineDown(from), LineUp(to));
    if (stored) stored = volume_.region.CheckGood(at, to - from);
  }
  volume_.cache.MarkDirty(inode);
  return stored;
}

Status FileWriter::ZeroBeyondEnd(Inode& inode, uint64_t until) {
  if (Mutated(Mutant::kZeroBeyondEndSkipped)) return {};
  const uint64_t block_end = BlocksFor(inode.size) * kBlockSize;
  return Zero(inode, inode.size, std::min(until, block_end));
}

Status FileWriter::Grow(Inode& inode, uint64_t size) {
  if (size > kMaxFileSize) return Fail(ErrorCode::kFileTooBig);
  if (size <= inode.size) return {};
  MIRDAX_TRY(ZeroBeyondEnd(inode, size));
  inode.size = size;
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
  return {};
}

Result<uint64_t> FileWriter::Write(Inode& inode, uint64_t offset,
                                   std::span<const std::byte> bytes) {
  if (bytes.empty()) return 0;
  if (offset >= kMaxFileSize) return Fail(ErrorCode::kFileTooBig);
  bytes = bytes.first(std::min<uint64_t>(bytes.size(), kMaxFileSize - offset));
  MIRDAX_ASSIGN(
      std::vector<Segment> segments,
      MapFile(*volume_.transactions, inode, offset / kBlockSize, BlocksFor(offset + bytes.size())));
  MIRDAX_TRY(ReserveHoles(inode, &segments));
  const uint64_t reached = segments.back().end() * kBlockSize;
  bytes = bytes.first(std::min<uint64_t>(bytes.size(), reached - offset));
  Status ready = volume_.CheckMetadata();  // which says where to store
  if (ready && offset > inode.size) ready = ZeroBeyondEnd(inode, offset);
  if (!ready) {
    UnreserveHoles(segments);
    return Fail(ready.error());
  }
  PendingAccount account(volume_, inode);
  for (auto segment = segments.begin(); segment != segments.end(); ++segment) {
    const uint64_t good = StoreSegment(inode, *segment, offset, bytes);
    if (good == segment->length) continue;
    volume_.cache.MarkDirty(inode);
    UnreserveHoles({segment + 1, segments.end()});
    const uint64_t taken = (segment->file_block + good) * kBlockSize;
    if (taken <= offset) {
      return Fail(
          volume_.region.CheckGood((segment->pool_block + good) * kBlockSize, kBlockSize).error());
    }
    bytes = bytes.first(std::min<uint64_t>(bytes.size(), taken - offset));
    break;
  }
  inode.size = std::max(inode.size, offset + bytes.size());
  if (Mutated(Mutant::kSizeAtWrite)) inode.disk.size = inode.size;
  volume_.Touch(inode.disk, {kMtime, kCtime});
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
  return bytes.size();
}

}  // namespace mirdax
