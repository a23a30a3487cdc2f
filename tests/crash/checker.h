// SPDX-License-Identifier: BSD-2-Clause
// Recovers a crash image as a user would find it, and asks the oracle whether it may be so.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/image_region.h"
#include "tests/crash/oracle.h"
#include "tests/crash/shapes.h"
#include "tests/crash/takeover.h"

namespace mirdax::crash {

// Where the time goes, and what was done. Nanoseconds.
struct CheckStats {
  uint64_t images = 0;           // checked, those of crashes during recovery not counted
  uint64_t recovery_images = 0;  // left by crashes during recovery
  uint64_t refused = 0;          // copies that said they were being filled
  uint64_t promote_ns = 0;       // of mirrors
  uint64_t recover_ns = 0;
  uint64_t again_ns = 0;  // second recoveries
  uint64_t fsck_ns = 0;
  uint64_t mount_ns = 0;
  uint64_t read_ns = 0;  // of all names and bytes
  uint64_t judge_ns = 0;
  uint64_t unmount_ns = 0;

  CheckStats& operator+=(const CheckStats& other);
};

struct CheckDepth {
  bool unmount = false;   // also let files grow, unmount, check once more, and find it clean
  uint64_t recovery = 0;  // at each fence of recovery and mount, crash again with so many subsets
  uint64_t seed = 1;
  Takeover::How takeover = {};  // of a mirror; a crash during it is followed by a plain promotion
};

// An image passes when it is recovered and mounted without an error, fsck finds nothing after the
// recovery, every name and byte can be read, the oracle allows what is read; when recovering once
// more finds nothing to do, and recovering all of it once more, as if only the new tail had been
// lost, gives the same bytes (private blocks apart); and, at depth, when
// all of that holds again for images of crashes during recovery and mount, and recovering those of
// the recovery gives the same bytes (private blocks apart) as recovering at once. The image of a
// mirror is promoted first; a crash after that finds a primary.
//
// Threads: one at a time.
class Checker {
 public:
  // REQUIRES: all outlive the object. `takeover`: where the image is of a mirror. `connect`: how a
  // recovered image is mounted that knows of mirrors; empty: as if it knew of none.
  Checker(ImageRegion& region, const LegalStates& legal, CheckStats& stats,
          const Takeover* takeover = nullptr, ShapedPool::Connect connect = {})
      : region_(region),
        legal_(legal),
        stats_(stats),
        takeover_(takeover),
        connect_(std::move(connect)) {}

  // Why the image that lies in the region is wrong after a crash at `moment`; nothing when it is
  // right. The region is afterwards as it was.
  std::optional<std::string> Check(Moment moment, const CheckDepth& depth);
  // Whether the last image said, as it might, that it was being filled: then nothing was judged.
  bool refused() const noexcept { return refused_; }

 private:
  struct Recovered {
    uint64_t hash = 0;           // of what recovery left, without private blocks
    size_t log_events = 0;       // until then
    size_t promoted_events = 0;  // until the promotion was done
  };
  using Reason = std::optional<std::string>;

  // Makes a primary of it; true when it is one.
  Result<bool> Promote(const Takeover::How& how, Recovered* recovered);
  Reason Recover(Moment moment, const CheckDepth& depth, Recovered* recovered);
  Status Mount(MountedImage& image);
  // `before`: the private blocks as recovery found them.
  Reason RecoverAgain(std::span<const std::byte> before, Takeover::How how);
  Reason NotPromoted();  // though a promotion had been reported
  Reason CrashAgain(Moment moment, const CheckDepth& depth, const std::vector<RegionEvent>& log,
                    const Recovered& first);

  ImageRegion& region_;
  const LegalStates& legal_;
  CheckStats& stats_;
  const Takeover* const takeover_;
  const ShapedPool::Connect connect_;
  bool refused_ = false;
};

}  // namespace mirdax::crash
