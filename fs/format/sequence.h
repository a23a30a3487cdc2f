// SPDX-License-Identifier: BSD-2-Clause
// The counters that say which block of an A/B pair is the newer one.
#pragma once

#include <cstdint>

namespace mirdax {

// They go round, and leave 0 out (as serial numbers do: RFC 1982): from a block that is made to say
// that it is the last one there is (R9), there is a next one, too.
constexpr uint64_t NextSequence(uint64_t sequence) noexcept {
  return sequence + 1 == 0 ? 1 : sequence + 1;
}
constexpr bool IsNewer(uint64_t sequence, uint64_t than) noexcept {
  return static_cast<int64_t>(sequence - than) > 0;
}

}  // namespace mirdax
