// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/checksums.h"

#include <cstring>

#include "fs/base/check.h"
#include "fs/base/crc32c.h"

namespace mirdax {

uint32_t ChecksumOf(std::span<const std::byte> bytes, size_t crc_offset) noexcept {
  constexpr std::array<std::byte, sizeof(uint32_t)> kZero{};
  MIRDAX_CHECK(crc_offset + kZero.size() <= bytes.size());
  const uint32_t before = Crc32c(bytes.first(crc_offset));
  return Crc32c(bytes.subspan(crc_offset + kZero.size()), Crc32c(kZero, before));
}

void SealBlock(std::span<std::byte, kBlockSize> block) noexcept {
  const uint32_t crc = ChecksumOf(block, offsetof(BlockHeader, crc));
  std::memcpy(block.data() + offsetof(BlockHeader, crc), &crc, sizeof(crc));
}

bool IsSealedBlock(std::span<const std::byte, kBlockSize> block) noexcept {
  uint32_t crc = 0;
  std::memcpy(&crc, block.data() + offsetof(BlockHeader, crc), sizeof(crc));
  return crc == ChecksumOf(block, offsetof(BlockHeader, crc));
}

}  // namespace mirdax
