// SPDX-License-Identifier: BSD-2-Clause
// CRC32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L: the checksum of every structure on PM and
// of every message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mirdax {

// Checksum of `bytes`; pass an earlier result as `seed` to go on where it stopped:
// Crc32c(b, Crc32c(a)) is the checksum of a followed by b.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed = 0) noexcept;

}  // namespace mirdax
