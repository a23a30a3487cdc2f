// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/page_region.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "fs/format/layout.h"

namespace mirdax {
namespace {

constexpr uint64_t kPageSize = 4096;
// Runs of pages this near to each other are synced by one call: the clean pages between them cost
// less than the call, which on a disk is a cache flush each.
constexpr uint64_t kMergeGap = uint64_t{2} << 20;

}  // namespace

PageRegion::PageRegion(Pmem2Map map)
    : MappedRegion(BytesOf(map), Granularity::kPage),
      map_(std::move(map)),
      owed_(kPageSize, kMergeGap) {}

void PageRegion::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  Copy(offset, bytes);
  owed_.Add(offset, bytes.size());
}

void PageRegion::StreamZeros(uint64_t offset, uint64_t length) {
  Zero(offset, length);
  owed_.Add(offset, length);
}

void PageRegion::Flush(uint64_t offset, uint64_t length) {
  Address(offset, length);
  owed_.Add(offset, length);
}

Status PageRegion::Drain() {
  return owed_.Drain([this](std::span<const PoolRange> ranges, bool first_try) {
    return Sync(ranges, first_try);
  });
}

Status PageRegion::Sync(std::span<const PoolRange> ranges, bool first_try) {
  for (const PoolRange& range : ranges) {
    std::byte* const begin = Address(range.offset, range.length);
    if (!first_try) {
      for (uint64_t at = 0; at < range.length; at += kPageSize)
        std::atomic_ref(*reinterpret_cast<uint64_t*>(begin + at)).fetch_or(0);
    }
    if (msync(begin, range.length, MS_SYNC) != 0)
      return Fail(ErrorCode::kIo, "{}",
                  FromErrno(errno, fmt::format("syncing {} bytes at {} of the pool", range.length,
                                               range.offset))
                      .message);
  }
  return {};
}

}  // namespace mirdax
