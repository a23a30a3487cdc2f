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

void FileWriter::StoreSegment(Inode& inode, const Segment& segment, uint64_t offset,
                              std::span<const std::byte> bytes) {
  const uint64_t start = segment.file_block * kBlockSize;
  const uint64_t end = segment.end() * kBlockSize;
  const uint64_t from = std::max(start, offset);
  const uint64_t to = std::min(end, offset + bytes.size());
  const uint64_t pool = segment.pool_block * kBlockSize;
  const bool fresh =
      segment.state == SegmentState::kHole || segment.state == SegmentState::kUnwritten;
  const bool zeroed = fresh && !Mutated(Mutant::kFreshBlockNotZeroed);
  if (zeroed && from > start) volume_.region.StreamZeros(pool, from - start);
  volume_.region.Stream(pool + (from - start), bytes.subspan(from - offset, to - from));
  if (zeroed && to < end) volume_.region.StreamZeros(pool + (to - start), end - to);
  if (fresh) {
    inode.pending.Add(
        {segment.file_block, segment.pool_block, segment.length,
         segment.state == SegmentState::kHole ? PendingKind::kReserved : PendingKind::kUnwritten});
  } else if (segment.state == SegmentState::kWritten) {
    inode.dirty.Add(LineDown(from), LineUp(to));
  }
}

Status FileWriter::Zero(Inode& inode, uint64_t begin, uint64_t end) {
  if (begin >= end) return {};
  PendingAccount account(volume_, inode);
  MIRDAX_ASSIGN(const std::vector<Segment> segments,
                MapFile(*volume_.transactions, inode, begin / kBlockSize, BlocksFor(end)));
  for (const Segment& segment : segments) {
    if (!segment.has_data()) continue;
    const uint64_t start = segment.file_block * kBlockSize;
    const uint64_t from = std::max(start, begin);
    const uint64_t to = std::min(segment.end() * kBlockSize, end);
    volume_.region.StreamZeros(segment.pool_block * kBlockSize + (from - start), to - from);
    if (segment.state == SegmentState::kWritten) inode.dirty.Add(LineDown(from), LineUp(to));
  }
  volume_.cache.MarkDirty(inode);
  return {};
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
  if (offset > inode.size) {
    if (Status zeroed = ZeroBeyondEnd(inode, offset); !zeroed) {
      UnreserveHoles(segments);
      return Fail(zeroed.error());
    }
  }
  PendingAccount account(volume_, inode);
  for (const Segment& segment : segments) StoreSegment(inode, segment, offset, bytes);
  inode.size = std::max(inode.size, offset + bytes.size());
  if (Mutated(Mutant::kSizeAtWrite)) inode.disk.size = inode.size;
  volume_.Touch(inode.disk, {kMtime, kCtime});
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
  return bytes.size();
}

}  // namespace mirdax
