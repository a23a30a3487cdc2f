// SPDX-License-Identifier: BSD-2-Clause
// The input of a structure-aware fuzzer, as text: one step a line, a word and numbers.
//
//   # A size beyond the largest file.
//   inode 2 40 8 0xffffffffffffffff
//
// Any text is an input: a line that is no step is passed over, a number that is missing is 0, and a
// target takes each number modulo what it is for. So mutations and people cannot write a wrong one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mirdax::fuzz {

// What a number stands for: how a mutation chooses it.
struct Argument {
  enum Kind : uint8_t {
    kIndex,   // one of `limit` things, small ones first
    kOffset,  // a byte below `limit`; mostly near the front and where a field may begin
    kWidth,   // 1, 2, 4 or 8
    kValue,   // any
  } kind;
  uint64_t limit = 0;
};
inline constexpr size_t kMostNumbers = 5;
inline constexpr size_t kMostSteps = 96;

struct StepKind {
  std::string_view word;
  std::vector<Argument> arguments;  // at most kMostNumbers
};
using Grammar = std::vector<StepKind>;

struct Step {
  size_t kind = 0;  // index into the grammar
  std::array<uint64_t, kMostNumbers> numbers{};
  friend bool operator==(const Step&, const Step&) = default;
};
using Recipe = std::vector<Step>;

// At most kMostSteps; what follows is passed over.
Recipe ParseRecipe(std::string_view text, const Grammar& grammar);
std::string PrintRecipe(const Recipe& recipe, const Grammar& grammar);

}  // namespace mirdax::fuzz
