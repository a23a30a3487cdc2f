// SPDX-License-Identifier: BSD-2-Clause
// Checksums of structures that hold their own: CRC32C of the bytes with the crc field taken as 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "fs/format/layout.h"

namespace mirdax {

// REQUIRES: crc_offset + 4 <= bytes.size().
uint32_t ChecksumOf(std::span<const std::byte> bytes, size_t crc_offset) noexcept;

template <typename T>
std::span<const std::byte, sizeof(T)> BytesOf(const T& object) noexcept {
  static_assert(std::has_unique_object_representations_v<T>);
  return std::as_bytes(std::span<const T, 1>(&object, 1));
}

// Structures with a field `crc` that covers all of them and nothing else: Superblock, PrivateBlock,
// InodeDisk.
template <typename T>
void Seal(T& object) noexcept {
  object.crc = ChecksumOf(BytesOf(object), offsetof(T, crc));
}
template <typename T>
bool IsSealed(const T& object) noexcept {
  return object.crc == ChecksumOf(BytesOf(object), offsetof(T, crc));
}

// Metadata blocks of the data area: BlockHeader::crc covers the whole block.
void SealBlock(std::span<std::byte, kBlockSize> block) noexcept;
bool IsSealedBlock(std::span<const std::byte, kBlockSize> block) noexcept;

}  // namespace mirdax
