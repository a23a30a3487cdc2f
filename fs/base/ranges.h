// SPDX-License-Identifier: BSD-2-Clause
// A run of bytes of a pool: the currency between engine, PM layer and replicator.
#pragma once

#include <cstdint>

namespace mirdax {

// [offset, offset + length), bytes from the start of the pool.
struct PoolRange {
  uint64_t offset = 0;
  uint64_t length = 0;

  constexpr uint64_t end() const noexcept { return offset + length; }
  friend bool operator==(const PoolRange&, const PoolRange&) = default;
};

}  // namespace mirdax
