// SPDX-License-Identifier: BSD-2-Clause
// The small populated pool that image recipes spoil.
#pragma once

#include <memory>
#include <vector>

#include "fs/format/geometry.h"
#include "tests/fuzz/guarded_view.h"
#include "tests/fuzz/recipe.h"

namespace mirdax::fuzz {

// A bit of everything that docs/FORMAT.md knows (PoolImage::AddSample), on a clean primary.
struct SamplePool {
  BaseImage image;
  Geometry geometry;
  std::vector<BlockNo> nodes;  // every metadata block of the data area
};
const SamplePool& TheSamplePool();

// A copy of it, changed as the recipe says (ImageEditor); steps of `grammar` that it does not know
// are passed over.
std::unique_ptr<GuardedView> SpoiltSample(const Recipe& recipe, const Grammar& grammar);

}  // namespace mirdax::fuzz
