// SPDX-License-Identifier: BSD-2-Clause
// Makes new recipes of old ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "tests/fuzz/recipe.h"

namespace mirdax::fuzz {

// Changes up to `capacity` bytes in place, of which `size` are in use; returns the new size.
// libFuzzer's, which knows the constants that the program has compared with.
using MutateBytes = size_t (*)(uint8_t* bytes, size_t size, size_t capacity);

class RecipeMutator {
 public:
  // `mutate_bytes` may be null.
  RecipeMutator(const Grammar& grammar, MutateBytes mutate_bytes, uint64_t seed)
      : grammar_(grammar), mutate_bytes_(mutate_bytes), random_(seed) {}

  // One to four changes: a step more, less, moved, repeated, or with another number.
  void Mutate(Recipe& recipe);
  // The front of one and the back of the other.
  Recipe Cross(const Recipe& a, const Recipe& b);

 private:
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  Step NewStep();
  void ChangeOnce(Recipe& recipe);
  void ChangeNumber(Step& step);
  uint64_t NewNumber(const Argument& argument, uint64_t old);
  uint64_t NewValue(uint64_t old);

  const Grammar& grammar_;
  const MutateBytes mutate_bytes_;
  std::mt19937_64 random_;
};

}  // namespace mirdax::fuzz
