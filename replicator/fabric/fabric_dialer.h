// SPDX-License-Identifier: BSD-2-Clause
// Reaches mirrors for real: control over TCP, data over libfabric.
#pragma once

#include "replicator/dialer.h"

namespace mirdax::fabric {

class FabricDialer final : public MirrorDialer {
 public:
  explicit FabricDialer(Clock& clock) : clock_(clock) {}

  Result<std::unique_ptr<FrameChannel>> DialControl(const std::string& address,
                                                    Deadline deadline) override;
  Result<std::unique_ptr<DataLink>> DialData(const DataEndpoint& endpoint,
                                             std::span<std::byte> memory,
                                             Deadline deadline) override;
  // REQUIRES: the links were made by a FabricDialer.
  void WaitAny(std::span<DataLink* const> links, Deadline deadline) override;

 private:
  Clock& clock_;
};

}  // namespace mirdax::fabric
