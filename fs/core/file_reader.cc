// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/file_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

constexpr int64_t kDay = int64_t{24} * 60 * 60;

alignas(kBlockSize) constexpr std::array<std::byte, size_t{64} * 1024> kZeros{};

bool AccessTimeIsOld(const InodeDisk& disk, const Timestamp& now) {
  const auto not_newer_than = [&disk](TimeIndex other) {
    return std::tie(disk.seconds[kAtime], disk.nanoseconds[kAtime]) <=
           std::tie(disk.seconds[other], disk.nanoseconds[other]);
  };
  return not_newer_than(kMtime) || not_newer_than(kCtime) ||
         now.seconds - disk.seconds[kAtime] >= kDay;
}

}  // namespace

Result<std::vector<std::span<const std::byte>>> FileReader::Spans(const Inode& inode,
                                                                  uint64_t offset,
                                                                  uint64_t length) {
  std::vector<std::span<const std::byte>> spans;
  if (offset >= inode.size || length == 0) return spans;
  const uint64_t end = offset + std::min(length, inode.size - offset);
  Status good;
  MIRDAX_TRY(WalkFile(*volume_.transactions, inode, offset / kBlockSize, BlocksFor(end),
                      [&](const Segment& segment) {
                        const uint64_t start = segment.file_block * kBlockSize;
                        uint64_t from = std::max(start, offset);
                        const uint64_t to = std::min(segment.end() * kBlockSize, end);
                        if (segment.has_data()) {
                          const uint64_t at = segment.pool_block * kBlockSize + (from - start);
                          spans.emplace_back(volume_.region.At(at, to - from), to - from);
                          if (!Mutated(Mutant::kPoisonShown))
                            good = volume_.region.CheckGood(at, to - from);
                          return good.has_value();
                        }
                        while (from < to) {
                          const uint64_t part = std::min<uint64_t>(to - from, kZeros.size());
                          spans.emplace_back(kZeros.data(), part);
                          from += part;
                        }
                        return true;
                      }));
  MIRDAX_TRY(good);
  return spans;
}

Result<uint64_t> FileReader::Copy(const Inode& inode, uint64_t offset, std::span<std::byte> out) {
  MIRDAX_ASSIGN(const auto spans, Spans(inode, offset, out.size()));
  const uint64_t bad_before = volume_.region.bad().count();
  uint64_t copied = 0;
  {
    const FileDataAccess access;
    for (const std::span<const std::byte> span : spans) {
      std::memcpy(out.data() + copied, span.data(), span.size());
      copied += span.size();
    }
  }
  // What was met just now is found by looking again.
  if (volume_.region.bad().count() != bad_before) MIRDAX_TRY(Spans(inode, offset, out.size()));
  return copied;
}

Result<uint64_t> FileReader::Seek(const Inode& inode, uint64_t offset, SeekTo to) {
  if (offset >= inode.size) return Fail(ErrorCode::kNoSuchDevice);
  uint64_t found = inode.size;
  MIRDAX_TRY(WalkFile(*volume_.transactions, inode, offset / kBlockSize, BlocksFor(inode.size),
                      [&](const Segment& segment) {
                        if (segment.has_data() != (to == SeekTo::kData)) return true;
                        found = std::max(offset, segment.file_block * kBlockSize);
                        return false;
                      }));
  found = std::min(found, inode.size);
  if (to == SeekTo::kData && found == inode.size) return Fail(ErrorCode::kNoSuchDevice);
  return found;
}

Result<std::vector<AllocatedRun>> FileReader::Allocated(const Inode& inode) {
  std::vector<AllocatedRun> runs;
  MIRDAX_TRY(WalkFile(*volume_.transactions, inode, 0, kMaxFileBlocks, [&](const Segment& segment) {
    if (segment.state == SegmentState::kHole) return true;
    const bool unwritten = segment.state == SegmentState::kUnwritten;
    const bool joins = !runs.empty() && runs.back().unwritten == unwritten &&
                       runs.back().first + runs.back().length == segment.file_block;
    if (joins) {
      runs.back().length += segment.length;
    } else {
      runs.push_back({segment.file_block, segment.length, unwritten});
    }
    return true;
  }));
  return runs;
}

void FileReader::Accessed(Inode& inode) {
  if (volume_.options.noatime || !volume_.CheckWritable()) return;
  const Timestamp now = volume_.clock.Now();
  {
    ReadLock lock(inode.mutex);
    if (!AccessTimeIsOld(inode.disk, now)) return;
  }
  WriteLock lock(inode.mutex);
  if (inode.freed) return;
  inode.disk.seconds[kAtime] = now.seconds;
  inode.disk.nanoseconds[kAtime] = now.nanoseconds;
  inode.attributes_dirty = true;
  volume_.cache.MarkDirty(inode);
}

}  // namespace mirdax
