// SPDX-License-Identifier: BSD-2-Clause
// Which parts of what was in flight a crash image has: numbered, so that one can be repeated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/crash/in_flight.h"

namespace mirdax::crash {

// A line, or a part of it, that had reached the medium when the power went.
struct Landing {
  size_t line = 0;       // index of the flying line
  size_t contents = 0;   // which of its contents
  uint8_t words = 0xff;  // bit i: the i-th 8 bytes of it; the others are the durable ones
  friend bool operator==(const Landing&, const Landing&) = default;
};

// The subsets of one set of flying lines, in this order: none; all; each line alone; all but one;
// every other subset of whole lines, where there are at most kFewLines; each line torn, alone and
// among all; each older contents of a line, alone and among all; every other subset of whole lines,
// where there are more, up to kExhaustiveLines; then seeded random ones without end: any lines, any
// of their contents, some of them torn.
//
// Threads: const.
class Subsets {
 public:
  static constexpr size_t kFewLines = 5;          // 2^5 subsets fit an ordinary budget
  static constexpr size_t kExhaustiveLines = 10;  // 2^10 are still visited, with a large one

  // REQUIRES: `lines` outlives the object.
  Subsets(std::span<const FlyingLine> lines, uint64_t seed);

  // How many come before the random ones.
  uint64_t planned() const noexcept { return planned_; }
  // The same for the same lines, seed and number.
  std::vector<Landing> At(uint64_t number) const;

  // Up to `budget` numbers, ascending: all planned ones if they are no more than that; else what
  // comes before the torn ones, and a seeded sample of the other planned ones and of the random
  // ones. Under a budget too small for each line alone and all but one, those that are taken are
  // spread over all lines, by the seed; one too small only for every subset of few lines takes a
  // sample of these, too.
  std::vector<uint64_t> Choose(uint64_t budget) const;
  // Whether Choose(budget) has every subset of whole lines.
  bool Exhausts(uint64_t budget) const noexcept;

 private:
  std::vector<Landing> AllBut(size_t line) const;
  std::vector<Landing> Whole(uint64_t mask) const;  // bit i: line i, with its newest contents
  std::vector<Landing> Random(uint64_t number) const;
  // Each line alone, and all but one.
  uint64_t singles() const noexcept { return 2 * lines_.size(); }
  bool few() const noexcept { return lines_.size() <= kFewLines; }

  const std::span<const FlyingLine> lines_;
  const uint64_t seed_;
  std::vector<uint16_t> others_;  // subsets of whole lines with neither one, nor all but one
  std::vector<Landing> torn_;     // one line each
  std::vector<Landing> older_;    // one line each
  uint64_t planned_ = 0;
};

// Puts what landed into `image`: what is durable must be there already.
void Land(ImageRegion& image, std::span<const FlyingLine> lines, std::span<const Landing> landed);

}  // namespace mirdax::crash
