// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/line_region.h"

#include <utility>

namespace mirdax {
namespace {
constexpr unsigned kStreamFlags = PMEM2_F_MEM_NONTEMPORAL | PMEM2_F_MEM_NODRAIN;
}

LineRegion::LineRegion(Pmem2Map map)
    : MappedRegion(BytesOf(map), GranularityOf(map)),
      map_(std::move(map)),
      memcpy_(pmem2_get_memcpy_fn(map_.get())),
      memset_(pmem2_get_memset_fn(map_.get())),
      flush_(pmem2_get_flush_fn(map_.get())),
      drain_(pmem2_get_drain_fn(map_.get())) {}

void LineRegion::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  memcpy_(Address(offset, bytes.size()), bytes.data(), bytes.size(), kStreamFlags);
}

void LineRegion::StreamZeros(uint64_t offset, uint64_t length) {
  memset_(Address(offset, length), 0, length, kStreamFlags);
}

void LineRegion::Flush(uint64_t offset, uint64_t length) {
  flush_(Address(offset, length), length);
}

Status LineRegion::Drain() {
  drain_();
  return {};
}

}  // namespace mirdax
