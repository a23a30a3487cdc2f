// SPDX-License-Identifier: BSD-2-Clause
// Changes to the next message of a recipe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "tests/fuzz/recipe.h"

namespace mirdax::fuzz {

// Steps:
//   edit OFFSET WIDTH VALUE     a field
//   cut LENGTH                  only this many bytes are left
//   pad LENGTH                  so many zeros follow
//   broken                      the checksum stays what it was
struct PayloadEdits {
  struct Edit {
    uint64_t offset, width, value;
  };
  std::vector<Edit> edits;
  size_t cut = SIZE_MAX;
  size_t pad = 0;
  bool broken = false;

  static void AddSteps(Grammar& grammar) {
    const Argument width{Argument::kWidth};
    const Argument value{Argument::kValue};
    grammar.push_back({"edit", {{Argument::kOffset, 4096}, width, value}});
    grammar.push_back({"cut", {{Argument::kOffset, 4096}}});
    grammar.push_back({"pad", {{Argument::kOffset, 4096}}});
    grammar.push_back({"broken", {}});
  }

  // False when the step is none of the above.
  bool Take(std::string_view word, const std::array<uint64_t, kMostNumbers>& n) {
    if (word == "edit") {
      edits.push_back({n[0], n[1], n[2]});
    } else if (word == "cut") {
      cut = n[0];
    } else if (word == "pad") {
      pad = n[0] % (size_t{1} << 17);
    } else if (word == "broken") {
      broken = true;
    } else {
      return false;
    }
    return true;
  }

  bool any() const { return !edits.empty() || cut != SIZE_MAX || pad != 0 || broken; }

  void Resize(std::vector<std::byte>& bytes) const {
    bytes.resize(std::min(bytes.size(), cut) + pad);
  }
  void Change(std::span<std::byte> bytes) const {
    for (const Edit& edit : edits) {
      const uint64_t wanted = edit.width % (sizeof(edit.value) + 1);
      const uint64_t width = std::min<uint64_t>(wanted, bytes.size());
      if (width == 0) continue;
      std::memcpy(bytes.data() + edit.offset % (bytes.size() - width + 1), &edit.value, width);
    }
  }
};

}  // namespace mirdax::fuzz
