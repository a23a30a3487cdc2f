// SPDX-License-Identifier: BSD-2-Clause
// The hash that orders a directory: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input
// PRF"), keyed by the superblock's seed so that nobody who cannot read the pool can choose names
// that collide.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "fs/format/layout.h"

namespace mirdax {

using HashSeed = std::array<uint8_t, 16>;  // Superblock::hash_seed

uint64_t SipHash24(const HashSeed& seed, std::span<const std::byte> bytes) noexcept;

// The first of the kDirCollisions keys that `name` may have: see DirKey in layout.h.
DirKey DirHash(const HashSeed& seed, std::string_view name) noexcept;

}  // namespace mirdax
