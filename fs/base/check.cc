// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace mirdax {

void CheckFailed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "mirdax: internal error at %s:%d: %s does not hold\n", file, line,
               condition);
  std::abort();
}

}  // namespace mirdax
