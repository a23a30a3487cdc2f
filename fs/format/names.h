// SPDX-License-Identifier: BSD-2-Clause
// The words of the format, as status and tools show them. Unknown values are "unknown".
#pragma once

#include <string_view>

#include "fs/format/layout.h"

namespace mirdax {

std::string_view RoleName(Role role) noexcept;                  // "primary"
std::string_view StateName(CopyState state) noexcept;           // "consistent"
std::string_view MemberStateName(MemberState state) noexcept;   // "in-sync"
std::string_view MemberAddress(const Member& member) noexcept;  // as far as its first NUL

}  // namespace mirdax
