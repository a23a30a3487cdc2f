// SPDX-License-Identifier: BSD-2-Clause
// Words of the format for people, and bytes of a pool for their terminals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fs/base/error.h"
#include "fs/format/layout.h"

namespace mirdax {

// A name from a pool: control characters, quotes and bytes that are not ASCII as \\xNN.
std::string Printable(std::string_view name);

std::string_view TypeName(uint8_t type) noexcept;         // of DT_*: "file", "directory"
std::string_view BlockTypeName(BlockType type) noexcept;  // "extent-node"

// "/path: what", unless the message names the path already.
std::string ErrorText(const std::string& path, const Error& error);

}  // namespace mirdax
