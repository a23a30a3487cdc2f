// SPDX-License-Identifier: BSD-2-Clause
// Sees which pages of a region the product touches, and makes the medium refuse those that a fault
// strikes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fs/format/layout.h"
#include "tests/crash/faults.h"
#include "tests/crash/image_region.h"

namespace mirdax::crash {

// While the product is at work (Arm() to Disarm()) the first touch of each page is a chance. One
// that is struck raises SIGBUS from then on, as poison does: an empty file is mapped there. The
// region's levels keep what was there.
//
// Threads: one, with one Faults at a time; others have traps of their own.
class PoisonTrap {
 public:
  // REQUIRES: both outlive it. The region is in a level, so that it can be taken back.
  PoisonTrap(ImageRegion& region, Faults& faults);
  ~PoisonTrap();  // cures
  PoisonTrap(const PoisonTrap&) = delete;
  PoisonTrap& operator=(const PoisonTrap&) = delete;

  void Arm();
  void Disarm();
  // What was refused is refused to the next who asks, too, and nobody knows it yet.
  void RefuseAgain();
  // Each page is again what it was when it was refused, and nobody knows that it was.
  void Cure();

 private:
  struct Page {
    uint64_t offset;
    std::array<std::byte, kBlockSize> bytes;
  };
  static void OnFault(int number, void* info) noexcept;
  bool Handle(uintptr_t address);
  void MapEmpty(uint64_t offset);
  std::byte* At(uint64_t offset) { return region_.memory().data() + offset; }

  ImageRegion& region_;
  Faults& faults_;
  bool armed_ = false;
  std::vector<Page> refused_;
};

}  // namespace mirdax::crash
