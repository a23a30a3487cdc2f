// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/crc32c.h"

#include <isa-l/crc.h>

namespace mirdax {

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed) noexcept {
  // crc32_iscsi() takes a non-const pointer (it does not write) and an int length.
  constexpr size_t kStep = size_t{1} << 30;
  uint32_t crc = ~seed;
  while (!bytes.empty()) {
    const size_t step = bytes.size() < kStep ? bytes.size() : kStep;
    auto* start = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    crc = crc32_iscsi(start, static_cast<int>(step), crc);
    bytes = bytes.subspan(step);
  }
  return ~crc;
}

}  // namespace mirdax
