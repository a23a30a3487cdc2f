// SPDX-License-Identifier: BSD-2-Clause
// Values as status, tools and logs show them to people and scripts.
#pragma once

#include <cstdint>
#include <string>

namespace mirdax {

// Seconds since 1970 as "2026-11-23T00:12:00Z"; what no calendar holds as "@seconds".
std::string TimeText(int64_t seconds);
// "2026-11-23T00:12:00.000000017Z"; "@seconds.nanoseconds".
std::string TimeText(int64_t seconds, uint32_t nanoseconds);

// "00000000000010a9": of an epoch.
std::string IdText(uint64_t id);

}  // namespace mirdax
