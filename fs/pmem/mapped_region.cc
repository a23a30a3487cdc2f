// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/mapped_region.h"

#include <atomic>
#include <cstring>

namespace mirdax {

std::string_view GranularityName(Granularity granularity) noexcept {
  switch (granularity) {
    case Granularity::kByte:
      return "byte";
    case Granularity::kCacheLine:
      return "cache-line";
    case Granularity::kPage:
      return "page";
  }
  return "unknown";
}

std::string Region::DescribeBad(uint64_t offset, uint64_t length) const {
  for (const BadRange& bad : bad().List()) {
    if (bad.range.offset < offset + length && offset < bad.range.end())
      return fmt::format("{} bytes at {} of the pool", bad.range.length, bad.range.offset);
  }
  return "more than can be listed";
}

void MappedRegion::Copy(uint64_t offset, std::span<const std::byte> bytes) const {
  if (!bytes.empty()) std::memcpy(Address(offset, bytes.size()), bytes.data(), bytes.size());
}

void MappedRegion::Zero(uint64_t offset, uint64_t length) const {
  if (length != 0) std::memset(Address(offset, length), 0, length);
}

void MappedRegion::CopyWord(uint64_t offset, uint64_t value) const {
  MIRDAX_CHECK(offset % sizeof(value) == 0);
  auto& word = *reinterpret_cast<uint64_t*>(Address(offset, sizeof(value)));
  std::atomic_ref(word).store(value, std::memory_order_release);
}

}  // namespace mirdax
