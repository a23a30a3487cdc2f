// SPDX-License-Identifier: BSD-2-Clause
// What the private block of a copy would be after a power cut that loses everything in flight.
#pragma once

#include <vector>

#include "tests/crash/image_region.h"
#include "tests/crash/in_flight.h"

namespace mirdax::crash {

// Goes through a log once, forwards.
//
// Threads: one at a time.
class DurablePrivate {
 public:
  // REQUIRES: both outlive the object; the region is as it was when the log began. It gets back
  // what it was when the object goes.
  DurablePrivate(ImageRegion& region, const std::vector<RegionEvent>& log);
  DurablePrivate(const DurablePrivate&) = delete;
  DurablePrivate& operator=(const DurablePrivate&) = delete;
  ~DurablePrivate();

  // After the first `events` events. REQUIRES: no fewer than at the call before.
  // Errors: kCorrupt: neither block is valid.
  Result<PrivateBlock> After(size_t events);

 private:
  ImageRegion& region_;
  const std::vector<RegionEvent>& log_;
  InFlight in_flight_;
  size_t replayed_ = 0;
};

bool ListsInSync(const PrivateBlock& primary, const PrivateBlock& mirror) noexcept;

}  // namespace mirdax::crash
