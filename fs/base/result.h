// SPDX-License-Identifier: BSD-2-Clause
// Result<T>: a value or an Error. No exceptions cross a module's edge.
#pragma once

#include <fmt/format.h>

#include <tl/expected.hpp>
#include <utility>

#include "fs/base/error.h"

namespace mirdax {

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> Fail(ErrorCode code) { return tl::unexpected(Error{code, {}}); }
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected(std::move(error)); }

template <typename... Args>
tl::unexpected<Error> Fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Passes an error on:  MIRDAX_TRY(region.Drain());
#define MIRDAX_TRY(expression)                                            \
  do {                                                                    \
    if (auto mirdax_status_ = (expression); !mirdax_status_) [[unlikely]] \
      return ::tl::unexpected(std::move(mirdax_status_).error());         \
  } while (false)

#define MIRDAX_CONCAT_INNER(a, b) a##b
#define MIRDAX_CONCAT(a, b) MIRDAX_CONCAT_INNER(a, b)

// Passes an error on, or binds the value:  MIRDAX_ASSIGN(auto view, store.Read(block));
#define MIRDAX_ASSIGN(declaration, expression) \
  MIRDAX_ASSIGN_INNER(MIRDAX_CONCAT(mirdax_result_, __LINE__), declaration, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a name and a declaration take none
#define MIRDAX_ASSIGN_INNER(name, declaration, expression) \
  auto name = (expression);                                \
  if (!name) [[unlikely]]                                  \
    return ::tl::unexpected(std::move(name).error());      \
  declaration = std::move(*name)
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace mirdax
