// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/recipe.h"

#include <gtest/gtest.h>

#include "tests/fuzz/recipe_mutator.h"

namespace mirdax::fuzz {
namespace {

const Grammar kGrammar = {
    {"inode",
     {{Argument::kIndex, 10}, {Argument::kOffset, 256}, {Argument::kWidth}, {Argument::kValue}}},
    {"restart", {}},
};

TEST(Recipe, ComesOutAsItWentIn) {
  const std::string text = "inode 2 40 8 0xffffffffffffffff\nrestart\n";
  const Recipe recipe = ParseRecipe(text, kGrammar);
  ASSERT_EQ(recipe.size(), 2U);
  EXPECT_EQ(recipe[0].numbers[3], ~uint64_t{0});
  EXPECT_EQ(PrintRecipe(recipe, kGrammar), text);
}

TEST(Recipe, PassesOverWhatIsNoStepAndTakesMissingNumbersAsZero) {
  const Recipe recipe = ParseRecipe("# why\n\n \tinode 7\nunknown 1 2\nrestart 9", kGrammar);
  ASSERT_EQ(recipe.size(), 2U);
  EXPECT_EQ(recipe[0].numbers, (std::array<uint64_t, kMostNumbers>{7}));
  EXPECT_EQ(recipe[1].kind, 1U);
}

TEST(Recipe, HasABoundedNumberOfSteps) {
  std::string text;
  for (size_t i = 0; i < 2 * kMostSteps; ++i) text += "restart\n";
  EXPECT_EQ(ParseRecipe(text, kGrammar).size(), kMostSteps);
}

TEST(RecipeMutator, StaysInTheGrammarAndChangesSomething) {
  RecipeMutator mutator(kGrammar, nullptr, 1);
  Recipe recipe;
  size_t changed = 0;
  for (int i = 0; i < 2000; ++i) {
    const Recipe before = recipe;
    mutator.Mutate(recipe);
    changed += recipe != before ? 1 : 0;
    ASSERT_LE(recipe.size(), kMostSteps);
    for (const Step& step : recipe) ASSERT_LT(step.kind, kGrammar.size());
    ASSERT_EQ(ParseRecipe(PrintRecipe(recipe, kGrammar), kGrammar), recipe);
    ASSERT_LE(mutator.Cross(recipe, before).size(), kMostSteps);
  }
  EXPECT_GT(changed, 1500U);
}

}  // namespace
}  // namespace mirdax::fuzz
