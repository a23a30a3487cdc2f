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
// each line torn, alone and among all; each older contents of a line, alone and among all; every
// subset of lines, where there are at most 2^kExhaustiveLines; then seeded random ones without end:
// any lines, any of their contents, some of them torn.
//
// Threads: const.
class Subsets {
 public:
  static constexpr size_t kExhaustiveLines = 10;

  // REQUIRES: `lines` outlives the object.
  Subsets(std::span<const FlyingLine> lines, uint64_t seed);

  // How many come before the random ones.
  uint64_t planned() const noexcept { return planned_; }
  // The same for the same lines, seed and number.
  std::vector<Landing> At(uint64_t number) const;

  // Up to `budget` numbers, ascending: all planned ones if they are no more than that; else none
  // and all, each line alone, all but one, and a seeded sample of the other planned ones and of the
  // random ones. Where not each line can be alone and be missing, those that are and do are spread
  // over all lines, by the seed.
  std::vector<uint64_t> Choose(uint64_t budget) const;

 private:
  std::vector<Landing> AllBut(size_t line) const;
  std::vector<Landing> Random(uint64_t number) const;

  const std::span<const FlyingLine> lines_;
  const uint64_t seed_;
  std::vector<Landing> torn_;   // one line each
  std::vector<Landing> older_;  // one line each
  uint64_t planned_ = 0;
};

// Puts what landed into `image`: what is durable must be there already.
void Land(ImageRegion& image, std::span<const FlyingLine> lines, std::span<const Landing> landed);

}  // namespace mirdax::crash
