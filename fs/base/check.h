// SPDX-License-Identifier: BSD-2-Clause
// MIRDAX_CHECK: a programmer's error ends the process, in release builds too. Media, peer and user
// errors are values (Result<T>), never a check.
#pragma once

namespace mirdax {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace mirdax

#define MIRDAX_CHECK(condition)                              \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::mirdax::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)
