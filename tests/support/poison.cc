// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/poison.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "fs/base/check.h"

namespace mirdax::test {

Poison::Poison(Region& region, uint64_t offset)
    : offset_(offset / kBlockSize * kBlockSize), page_(region.memory().data() + offset_) {
  BadRanges::InstallHandler();
  std::memcpy(bytes_.data(), page_, bytes_.size());
  const int empty = memfd_create("refused", MFD_CLOEXEC);
  MIRDAX_CHECK(empty >= 0);
  MIRDAX_CHECK(mmap(page_, kBlockSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, empty, 0) ==
               page_);
  close(empty);
}

void Poison::Cure() {
  MIRDAX_CHECK(mmap(page_, kBlockSize, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page_);
  std::memcpy(page_, bytes_.data(), bytes_.size());
}

}  // namespace mirdax::test
