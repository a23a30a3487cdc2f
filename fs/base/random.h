// SPDX-License-Identifier: BSD-2-Clause
// Randomness as a seam: the kernel's for identities and nonces, a seeded one for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>

#include "fs/base/mutex.h"

namespace mirdax {

// Threads: every method by any.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<std::byte> bytes) = 0;

  uint64_t Next64() {
    uint64_t value = 0;
    Fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
};

// getrandom(2).
class SystemRandom final : public Random {
 public:
  void Fill(std::span<std::byte> bytes) override;
};

// The same bytes for the same seed, on every machine.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void Fill(std::span<std::byte> bytes) override;

 private:
  Mutex mutex_;
  std::mt19937_64 engine_ MIRDAX_GUARDED_BY(mutex_);
};

}  // namespace mirdax
