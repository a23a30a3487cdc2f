// SPDX-License-Identifier: BSD-2-Clause
// What an administrator does with a mirror whose primary is lost.
#pragma once

#include <vector>

#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax::crash {

// Promotes crash images of a mirror with the code of `mirdax promote`.
//
// Threads: const.
class Takeover {
 public:
  struct How {
    bool serve = false;       // the mirror's daemon is started once more first, and applies
    bool may_refuse = false;  // the copy may say that it is being filled
  };

  // `epochs`: what the lost primary has been in.
  explicit Takeover(std::vector<EpochId> epochs) : epochs_(std::move(epochs)) {}

  // The image is a primary now; or false: it says, as it may, that it is being filled, and so was
  // refused. An image of a promoted copy stays as it is.
  // Errors, besides those of the product: kCorrupt:
  //  T1 (R7) what may be refused was not, or what must not be was;
  //  T2 (R6) a primary is in an epoch that another one was in.
  Result<bool> Run(Region& region, const How& how) const;

 private:
  Status CheckEpoch(EpochId epoch) const;

  const std::vector<EpochId> epochs_;
};

}  // namespace mirdax::crash
