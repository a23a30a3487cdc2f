// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/control_session.h"

#include <spdlog/spdlog.h>

#include <new>

#include "fs/base/memory_reserve.h"
#include "replicator/bytes.h"

namespace mirdax {

Frame ControlSession::Handle(const Frame& frame, bool& hang_up) {
  try {
    return TryHandle(frame, hang_up);
  } catch (const std::bad_alloc&) {
    hang_up = true;
    return Frame{FrameType::kRefused, {}};
  }
}

Frame ControlSession::TryHandle(const Frame& frame, bool& hang_up) {
  hang_up = false;
  if (!authenticated()) {
    auto answer = handshake_.Handle(frame);
    if (answer) return std::move(*answer);
    spdlog::warn("{}: {}", peer_, answer.error().message);
    hang_up = true;
    return RefusalFrame(answer.error());
  }
  auto answer = Answer(frame);
  if (answer) return Frame{FrameType::kReply, std::move(*answer)};
  spdlog::warn("{}: {}", peer_, answer.error().message);
  hang_up = answer.error().code == ErrorCode::kCorrupt;
  return RefusalFrame(answer.error());
}

Result<std::vector<std::byte>> ControlSession::Answer(const Frame& frame) {
  const std::span<const std::byte> payload = frame.payload;
  if (frame.type == FrameType::kStatus) {
    // The JSON library allocates where it destroys, too: out of memory there is the daemon's end.
    MIRDAX_ASSIGN(const MemoryReserve reserve, MemoryReserve::Open());
    ByteWriter writer;
    writer.PutString(copy_.StatusDocument(pm_));
    return writer.Take();
  }
  if (!replicates())
    return Fail(ErrorCode::kInvalid, "this connection was opened to ask for status only");
  const auto encode = [](const auto& value) { return Encode(value); };
  switch (frame.type) {
    case FrameType::kAttach: {
      MIRDAX_ASSIGN(const AttachRequest request, DecodeAttachRequest(payload));
      return copy_.Attach(id_, request, peer_).map(encode);
    }
    case FrameType::kDataOpen: {
      ByteReader reader(payload);
      const std::string provider = reader.GetString();
      if (!reader.Done() || provider.empty() || provider.size() > 64)
        return Fail(ErrorCode::kCorrupt, "a malformed data-open message arrived");
      return copy_.OpenData(id_, provider).map(encode);
    }
    case FrameType::kDataKeys: {
      MIRDAX_ASSIGN(const std::vector<RemoteWindow> windows, copy_.GiveKeys(id_));
      return Encode(std::span<const RemoteWindow>(windows));
    }
    case FrameType::kSetEpoch: {
      MIRDAX_ASSIGN(const EpochRecord epochs, DecodeEpochRecord(payload));
      return copy_.SetEpoch(id_, epochs).map(encode);
    }
    case FrameType::kFillBegin: {
      MIRDAX_ASSIGN(const FillRequest request, DecodeFillRequest(payload));
      return copy_.BeginFill(id_, request).map(encode);
    }
    case FrameType::kFillEnd: {
      MIRDAX_ASSIGN(const FillRequest request, DecodeFillRequest(payload));
      return copy_.EndFill(id_, request).map(encode);
    }
    case FrameType::kHeartbeat: {
      ByteReader reader(payload);
      const Lsn apply_to = reader.Get<Lsn>();
      if (!reader.Done()) return Fail(ErrorCode::kCorrupt, "a malformed heartbeat message arrived");
      return copy_.Heartbeat(id_, apply_to).map(encode);
    }
    case FrameType::kDetach:
      copy_.EndSession(id_);
      return std::vector<std::byte>{};
    default:
      return Fail(ErrorCode::kInvalid, "unknown request {}", static_cast<int>(frame.type));
  }
}

}  // namespace mirdax
