// SPDX-License-Identifier: BSD-2-Clause
// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fs/base/result.h"

namespace mirdax {

// "4096", "64K", "1M", "2G", "1T", also lower case and "KiB": powers of 1024. kInvalid.
Result<uint64_t> ParseSize(std::string_view text);

// "1.5 GiB (1610612736 bytes)"; below 1 KiB "12 bytes".
std::string SizeText(uint64_t bytes);

}  // namespace mirdax
