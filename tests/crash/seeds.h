// SPDX-License-Identifier: BSD-2-Clause
// Choices that depend on what is chosen for: the same with every compiler and library.
#pragma once

#include <cstdint>
#include <string_view>

namespace mirdax::crash {

// Of `seed`, the variant that belongs to `text`: of a workload as it is printed, of a shape's name.
constexpr uint64_t SeedOf(uint64_t seed, std::string_view text) noexcept {
  uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char byte : text) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3U;
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93U;  // so that its low bits are good, too
  return (hash ^ (hash >> 32)) + seed;
}

}  // namespace mirdax::crash
