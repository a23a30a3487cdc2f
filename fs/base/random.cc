// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax {

void SystemRandom::Fill(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    MIRDAX_CHECK(got > 0);
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
}

void SeededRandom::Fill(std::span<std::byte> bytes) {
  const MutexLock lock(mutex_);
  while (!bytes.empty()) {
    const uint64_t word = engine_();
    const size_t step = std::min(bytes.size(), sizeof(word));
    std::memcpy(bytes.data(), &word, step);
    bytes = bytes.subspan(step);
  }
}

}  // namespace mirdax
