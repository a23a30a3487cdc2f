// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mirdax::fuzz {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

uint64_t Number(std::string_view word) {
  int base = 10;
  if (word.starts_with("0x")) {
    base = 16;
    word.remove_prefix(2);
  }
  uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number, base);
  return number;
}

}  // namespace

Recipe ParseRecipe(std::string_view text, const Grammar& grammar) {
  Recipe recipe;
  while (!text.empty() && recipe.size() < kMostSteps) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view word = NextWord(line);
    const auto kind = std::find_if(grammar.begin(), grammar.end(),
                                   [&](const StepKind& row) { return row.word == word; });
    if (kind == grammar.end()) continue;
    Step step{static_cast<size_t>(kind - grammar.begin()), {}};
    for (size_t i = 0; i < kind->arguments.size(); ++i) step.numbers[i] = Number(NextWord(line));
    recipe.push_back(step);
  }
  return recipe;
}

std::string PrintRecipe(const Recipe& recipe, const Grammar& grammar) {
  std::string text;
  for (const Step& step : recipe) {
    const StepKind& kind = grammar[step.kind];
    text += kind.word;
    for (size_t i = 0; i < kind.arguments.size(); ++i) {
      const bool value = kind.arguments[i].kind == Argument::kValue && step.numbers[i] > 9;
      text += value ? fmt::format(" {:#x}", step.numbers[i]) : fmt::format(" {}", step.numbers[i]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace mirdax::fuzz
