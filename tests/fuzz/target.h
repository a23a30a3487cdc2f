// SPDX-License-Identifier: BSD-2-Clause
// What every fuzz target defines; entry.cc (libFuzzer) or driver.cc (files, any compiler) calls it.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "tests/fuzz/recipe.h"

namespace mirdax::fuzz {

// Does everything with one input. A violation ends the process.
// REQUIRES: state that lives from one input to the next depends on none of them.
void RunInput(std::string_view input);

// The steps of the target's recipes; null when its inputs are plain bytes.
const Grammar* InputGrammar();

// Says what was violated and ends the process. For people and for libFuzzer, which keeps the input.
[[noreturn]] void Violated(std::string_view what);

template <typename... Args>
void Expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) Violated(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mirdax::fuzz
