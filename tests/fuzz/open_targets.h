// SPDX-License-Identifier: BSD-2-Clause
// The mirror's end of data connections, as a NIC sees it: windows that open and close.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "replicator/data_target.h"

namespace mirdax::fuzz {

struct OpenTarget {
  std::vector<PoolRange> windows;
  std::shared_ptr<DataHandler> handler;
};

// Gives out the targets; the live one is what the last Listen() made, until it is closed.
//
// Threads: one.
class OpenTargets final : public DataTargetFactory {
 public:
  Result<std::unique_ptr<DataTarget>> Listen(const std::string& provider, const Cookie& cookie,
                                             std::span<std::byte> memory,
                                             std::shared_ptr<DataHandler> handler) override;
  // Null when no connection is open.
  const OpenTarget* live() const { return live_.handler == nullptr ? nullptr : &live_; }
  void DropConnection() { live_ = {}; }

 private:
  class Target;
  OpenTarget live_;
  const Target* owner_ = nullptr;
};

}  // namespace mirdax::fuzz
