// SPDX-License-Identifier: BSD-2-Clause
// UUIDs (RFC 4122, version 4) that name sets and copies.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "fs/base/random.h"
#include "fs/base/result.h"

namespace mirdax {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  static Uuid Generate(Random& random);
  static Result<Uuid> Parse(std::string_view text);  // kInvalid
  std::string ToString() const;                      // 36 characters, lower case
  bool IsNil() const noexcept { return *this == Uuid{}; }

  friend bool operator==(const Uuid&, const Uuid&) = default;
};

}  // namespace mirdax
