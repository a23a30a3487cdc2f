// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/text.h"

#include <fmt/format.h>

#include <ctime>

namespace mirdax {

std::string TimeText(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return fmt::format("@{}", seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int64_t{1900} + parts.tm_year,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string TimeText(int64_t seconds, uint32_t nanoseconds) {
  std::string text = TimeText(seconds);
  const bool zone = text.ends_with('Z');
  if (zone) text.pop_back();
  return fmt::format("{}.{:09}{}", text, nanoseconds, zone ? "Z" : "");
}

std::string IdText(uint64_t id) { return fmt::format("{:016x}", id); }

}  // namespace mirdax
