// SPDX-License-Identifier: BSD-2-Clause
// Pools whose checksums are right and whose contents make no sense.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/pool_image.h"
#include "tools/fsck/finding.h"

namespace mirdax::test {

struct Hostile {
  const char* name;
  fsck::FindingCode expected;  // what fsck calls it
  // Spoils an image that has AddSample() in it.
  std::function<void(PoolImage&, const PoolImage::Sample&)> change;
};
inline void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

const std::vector<Hostile>& HostileImages();

// "an extent past the end" as a test's name.
std::string NameOf(const Hostile& hostile);

// The first leaf of a directory that has one.
BlockNo FirstLeaf(PoolImage& image, Ino dir);

}  // namespace mirdax::test
