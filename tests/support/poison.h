// SPDX-License-Identifier: BSD-2-Clause
// A page that the medium refuses.
#pragma once

#include <array>
#include <cstddef>

#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax::test {

// From now on an access to the page that holds byte `offset` of the pool raises SIGBUS (a mapping
// of an empty file lies there), which BadRanges is there to handle.
//
// Threads: one; nobody else touches the page while it is made or cured.
class Poison {
 public:
  Poison(Region& region, uint64_t offset);

  // Puts the bytes back that were there, in private memory. What was noted of it stays noted.
  void Cure();

  uint64_t offset() const noexcept { return offset_; }

 private:
  const uint64_t offset_;  // of the page
  std::byte* const page_;
  std::array<std::byte, kBlockSize> bytes_;
};

}  // namespace mirdax::test
