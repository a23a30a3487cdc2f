// SPDX-License-Identifier: BSD-2-Clause
// Time as a seam, so that a simulation can own it.
#pragma once

#include <cstdint>

namespace mirdax {

// Wall time of a file: seconds since 1970 (may be negative) and nanoseconds 0..999999999.
struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

// Threads: every method by any.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() = 0;                  // for file times
  virtual uint64_t MonotonicNanoseconds() = 0;  // for deadlines and intervals
};

class SystemClock final : public Clock {
 public:
  Timestamp Now() override;
  uint64_t MonotonicNanoseconds() override;
};

}  // namespace mirdax
