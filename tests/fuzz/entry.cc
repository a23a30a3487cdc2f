// SPDX-License-Identifier: BSD-2-Clause
// What libFuzzer calls.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "tests/fuzz/recipe_mutator.h"
#include "tests/fuzz/target.h"

using namespace mirdax::fuzz;

extern "C" size_t LLVMFuzzerMutate(uint8_t* bytes, size_t size, size_t capacity);

namespace {

std::string_view TextOf(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

size_t Store(const Recipe& recipe, uint8_t* out, size_t capacity) {
  const std::string text = PrintRecipe(recipe, *InputGrammar());
  const size_t size = std::min(text.size(), capacity);
  std::memcpy(out, text.data(), size);
  return size;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  RunInput(TextOf(bytes, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* bytes, size_t size, size_t capacity,
                                          unsigned seed) {
  if (InputGrammar() == nullptr) return LLVMFuzzerMutate(bytes, size, capacity);
  Recipe recipe = ParseRecipe(TextOf(bytes, size), *InputGrammar());
  RecipeMutator(*InputGrammar(), LLVMFuzzerMutate, seed).Mutate(recipe);
  return Store(recipe, bytes, capacity);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, size_t a_size, const uint8_t* b,
                                            size_t b_size, uint8_t* out, size_t capacity,
                                            unsigned seed) {
  if (InputGrammar() == nullptr) {
    const size_t front = std::min<size_t>(a_size == 0 ? 0 : seed % (a_size + 1), capacity);
    const size_t back = std::min(b_size, capacity - front);
    std::memcpy(out, a, front);
    std::memcpy(out + front, b + (b_size - back), back);
    return front + back;
  }
  RecipeMutator mutator(*InputGrammar(), LLVMFuzzerMutate, seed);
  return Store(mutator.Cross(ParseRecipe(TextOf(a, a_size), *InputGrammar()),
                             ParseRecipe(TextOf(b, b_size), *InputGrammar())),
               out, capacity);
}
