// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/clock.h"

#include <ctime>

namespace mirdax {

Timestamp SystemClock::Now() {
  // The coarse clock is the one the kernel stamps its own files with.
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
}

uint64_t SystemClock::MonotonicNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace mirdax
