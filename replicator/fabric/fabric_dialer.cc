// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fabric/fabric_dialer.h"

#include "replicator/fabric/fabric_link.h"
#include "replicator/socket_channel.h"

namespace mirdax::fabric {

Result<std::unique_ptr<FrameChannel>> FabricDialer::DialControl(const std::string& address,
                                                                Deadline deadline) {
  MIRDAX_ASSIGN(const HostPort target, ParseAddress(address));
  return SocketChannel::Connect(target, clock_, deadline);
}

Result<std::unique_ptr<DataLink>> FabricDialer::DialData(const DataEndpoint& endpoint,
                                                         std::span<std::byte> memory,
                                                         Deadline deadline) {
  return FabricLink::Connect(endpoint, memory, clock_, deadline);
}

void FabricDialer::WaitAny(std::span<DataLink* const> links, Deadline deadline) {
  std::array<WaitEntry, kMaxMirrors> entries{};
  size_t count = 0;
  for (DataLink* link : links) {
    const auto* fabric_link = static_cast<const FabricLink*>(link);
    if (fabric_link->has_message()) return;
    entries[count++] = fabric_link->wait_entry();
  }
  WaitForQueues(std::span(entries).first(count), -1, clock_, deadline);
}

}  // namespace mirdax::fabric
