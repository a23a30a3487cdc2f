// SPDX-License-Identifier: BSD-2-Clause
// A pool of a shape, and mirrors that were filled from it and hold the same.
#pragma once

#include <memory>
#include <vector>

#include "tests/crash/shapes.h"

namespace mirdax::crash {

// At rest: unmounted cleanly, everything applied, so that a mount finds the mirrors in sync.
//
// Threads: one at a time.
class MirroredPool {
 public:
  static Result<std::unique_ptr<MirroredPool>> Build(const Shape& shape, size_t mirrors);

  ShapedPool& primary() { return *primary_; }
  const std::vector<std::unique_ptr<ImageRegion>>& mirrors() const { return mirrors_; }

 private:
  MirroredPool(std::unique_ptr<ShapedPool> primary,
               std::vector<std::unique_ptr<ImageRegion>> mirrors)
      : primary_(std::move(primary)), mirrors_(std::move(mirrors)) {}

  const std::unique_ptr<ShapedPool> primary_;
  const std::vector<std::unique_ptr<ImageRegion>> mirrors_;
};

}  // namespace mirdax::crash
