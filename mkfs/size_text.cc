// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/size_text.h"

#include <charconv>
#include <limits>

namespace mirdax {
namespace {
constexpr std::string_view kUnits = "KMGTP";
}

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalid,
                "'{}' {}; write a number, and K, M, G or T for multiples, as in 64M", text, why);
  };
  if (error == std::errc::result_out_of_range) return bad("is too large");
  if (error != std::errc()) return bad("is not a number");
  std::string_view suffix(rest, static_cast<size_t>(end - rest));
  if (suffix.empty()) return value;
  const char letter = static_cast<char>(suffix.front() & ~0x20);  // upper case
  const size_t unit = kUnits.find(letter);
  suffix.remove_prefix(1);
  if (unit == std::string_view::npos || (!suffix.empty() && suffix != "iB"))
    return bad("has an unknown unit");
  const auto shift = static_cast<unsigned>(10 * (unit + 1));
  if (value > std::numeric_limits<uint64_t>::max() >> shift) return bad("is too large");
  return value << shift;
}

std::string SizeText(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double scaled = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (scaled >= 1024 && unit + 1 < kUnits.size()) {
    scaled /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g} {}iB ({} bytes)", scaled, kUnits[unit], bytes);
}

}  // namespace mirdax
