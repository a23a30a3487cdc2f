// SPDX-License-Identifier: BSD-2-Clause
// The copies that a wire fuzzer starts from: made once, by the product itself over the simulated
// transport.
#pragma once

#include "fs/format/layout.h"
#include "tests/fuzz/guarded_view.h"

namespace mirdax::fuzz {

struct SetImages {
  BaseImage fresh_primary;  // formatted, a few blocks in use, no members
  BaseImage blank_mirror;   // mkfs.mirdax --mirror
  // After a fill, a few commits and a clean unmount: provably equal.
  BaseImage primary;
  BaseImage mirror;
};
const SetImages& TheSetImages();

inline constexpr const char* kMirrorAddresses[] = {"one:1", "two:1"};

}  // namespace mirdax::fuzz
