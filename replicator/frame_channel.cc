// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/frame_channel.h"

namespace mirdax {

Result<std::vector<std::byte>> Call(FrameChannel& channel, FrameType type,
                                    std::span<const std::byte> payload, Deadline deadline) {
  MIRDAX_TRY(channel.Send(Frame{type, {payload.begin(), payload.end()}}, deadline));
  MIRDAX_ASSIGN(Frame reply, channel.Receive(kMaxFrame, deadline));
  if (reply.type == FrameType::kRefused) return Fail(ErrorOfRefusal(reply.payload));
  if (reply.type != FrameType::kReply)
    return Fail(ErrorCode::kCorrupt, "an answer of unknown type {} arrived",
                static_cast<int>(reply.type));
  return std::move(reply.payload);
}

}  // namespace mirdax
