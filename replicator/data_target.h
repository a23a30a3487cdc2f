// SPDX-License-Identifier: BSD-2-Clause
// The transport seam, seen from the mirror.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "replicator/control_wire.h"
#include "replicator/data_wire.h"
#include "replicator/deadline.h"

namespace mirdax {

// Takes what arrives on one data connection.
class DataHandler {
 public:
  virtual ~DataHandler() = default;
  // The answer, or nothing: then the connection is dropped. Called by one thread at a time.
  virtual std::optional<DataReply> OnDataMessage(std::span<const std::byte> message) = 0;
};

// One data connection that a primary was told to open, from the moment it may.
//
// Invariant (R6, 21, 22): memory is registered only once the connection that showed the cookie
// stands, exactly the ranges given, for remote writing only; after Close() the keys are dead and
// nothing more arrives.
// Threads: endpoint() and Register() by the owner; Close() by any, not from the handler.
class DataTarget {
 public:
  virtual ~DataTarget() = default;
  virtual const DataEndpoint& endpoint() const = 0;
  // Waits for the connection, then opens `ranges` of the pool to it. kTimedOut, kIo.
  virtual Result<std::vector<RemoteWindow>> Register(std::span<const PoolRange> ranges,
                                                     Deadline deadline) = 0;
  // Idempotent; returns when the handler is not running and will not be called again.
  virtual void Close() = 0;
};

class DataTargetFactory {
 public:
  virtual ~DataTargetFactory() = default;
  // `provider`: what the primary asked for ("auto" or a name). kInvalid when this end was told to
  // use another one.
  virtual Result<std::unique_ptr<DataTarget>> Listen(const std::string& provider,
                                                     const Cookie& cookie,
                                                     std::span<std::byte> memory,
                                                     std::shared_ptr<DataHandler> handler) = 0;
};

}  // namespace mirdax
