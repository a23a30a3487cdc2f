// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/recipe_mutator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

namespace mirdax::fuzz {

Step RecipeMutator::NewStep() {
  Step step{Below(grammar_.size()), {}};
  const StepKind& kind = grammar_[step.kind];
  for (size_t i = 0; i < kind.arguments.size(); ++i)
    step.numbers[i] = NewNumber(kind.arguments[i], 0);
  return step;
}

uint64_t RecipeMutator::NewValue(uint64_t old) {
  if (mutate_bytes_ != nullptr && OneIn(2)) {
    uint8_t bytes[sizeof(old)];
    std::memcpy(bytes, &old, sizeof(old));
    const size_t size = mutate_bytes_(bytes, sizeof(bytes), sizeof(bytes));
    std::memset(bytes + size, 0, sizeof(bytes) - size);
    std::memcpy(&old, bytes, sizeof(old));
    return old;
  }
  switch (Below(8)) {
    case 0:
      return old + 1;
    case 1:
      return old - 1;
    case 2:
      return old ^ (uint64_t{1} << Below(64));
    case 3:
      return uint64_t{1} << Below(64);
    case 4:
      return (uint64_t{1} << Below(64)) - 1;
    case 5:
      return ~Below(4096);
    case 6:
      return Below(4096);
    default:
      return random_() >> Below(64);
  }
}

uint64_t RecipeMutator::NewNumber(const Argument& argument, uint64_t old) {
  const uint64_t limit = argument.limit;
  switch (argument.kind) {
    case Argument::kIndex:
      return OneIn(2) ? Below(limit) : Below(std::min<uint64_t>(limit, 16));
    case Argument::kOffset: {
      const uint64_t below = uint64_t{1} << Below(std::bit_width(limit) + 1U);
      const uint64_t offset = Below(std::min(below, limit));
      return OneIn(8) ? offset : offset / 4 * 4;
    }
    case Argument::kWidth:
      return uint64_t{1} << Below(4);
    case Argument::kValue:
      break;
  }
  return NewValue(old);
}

void RecipeMutator::ChangeNumber(Step& step) {
  const StepKind& kind = grammar_[step.kind];
  if (kind.arguments.empty()) return;
  const size_t i = Below(kind.arguments.size());
  step.numbers[i] = NewNumber(kind.arguments[i], step.numbers[i]);
}

void RecipeMutator::ChangeOnce(Recipe& recipe) {
  const auto at = [&](size_t i) { return recipe.begin() + static_cast<ptrdiff_t>(i); };
  const uint64_t choice = Below(8);
  if (recipe.empty() || (choice < 2 && recipe.size() < kMostSteps)) {
    recipe.insert(at(Below(recipe.size() + 1)), NewStep());
  } else if (choice == 2) {
    recipe.erase(at(Below(recipe.size())));
  } else if (choice == 3 && recipe.size() < kMostSteps) {
    const Step copy = recipe[Below(recipe.size())];
    recipe.insert(at(Below(recipe.size() + 1)), copy);
  } else if (choice == 4) {
    std::swap(recipe[Below(recipe.size())], recipe[Below(recipe.size())]);
  } else {
    ChangeNumber(recipe[Below(recipe.size())]);
  }
}

void RecipeMutator::Mutate(Recipe& recipe) {
  for (uint64_t changes = 1 + Below(4); changes > 0; --changes) ChangeOnce(recipe);
}

Recipe RecipeMutator::Cross(const Recipe& a, const Recipe& b) {
  const auto front = static_cast<ptrdiff_t>(Below(a.size() + 1));
  const auto back = static_cast<ptrdiff_t>(Below(b.size() + 1));
  Recipe recipe(a.begin(), a.begin() + front);
  recipe.insert(recipe.end(), b.begin() + back, b.end());
  if (recipe.size() > kMostSteps) recipe.resize(kMostSteps);
  return recipe;
}

}  // namespace mirdax::fuzz
