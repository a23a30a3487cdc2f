// SPDX-License-Identifier: BSD-2-Clause
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/target.h"

namespace mirdax::fuzz {

void Violated(std::string_view what) {
  fmt::print(stderr, "violated: {}\n", what);
  std::fflush(stderr);
  std::abort();
}

}  // namespace mirdax::fuzz
