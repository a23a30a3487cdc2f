// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/control_wire.h"

#include <algorithm>
#include <utility>

#include "fs/base/crc32c.h"
#include "replicator/bytes.h"

namespace mirdax {
namespace {

// Codes on the wire, never renumbered; others travel as kInvalid's number.
constexpr std::array<std::pair<uint16_t, ErrorCode>, 8> kWireCodes = {{
    {1, ErrorCode::kInvalid},
    {2, ErrorCode::kStale},
    {3, ErrorCode::kAuthFailed},
    {4, ErrorCode::kIncompatible},
    {5, ErrorCode::kCorrupt},
    {6, ErrorCode::kIo},
    {7, ErrorCode::kBusy},
    {8, ErrorCode::kTimedOut},
}};

uint32_t FrameCrc(FrameHeader header, std::span<const std::byte> payload) {
  header.crc = 0;
  return Crc32c(payload, Crc32c(std::as_bytes(std::span(&header, 1))));
}

// The two directions of a list of fields. Text and lists are preceded by their 16-bit count.
class FieldWriter {
 public:
  template <typename... T>
  void operator()(const T&... fields) {
    (Put(fields), ...);
  }
  template <typename T>
  void List(const std::vector<T>& list, size_t /*most*/) {
    static_assert(std::has_unique_object_representations_v<T>);
    writer_.Put(static_cast<uint16_t>(list.size()));
    writer_.PutBytes(std::as_bytes(std::span(list)));
  }
  std::vector<std::byte> Take() { return writer_.Take(); }

 private:
  void Put(const std::string& text) { writer_.PutString(text); }
  template <typename T>
  void Put(const T& value) {
    writer_.Put(value);
  }

  ByteWriter writer_;
};

class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> payload) : reader_(payload) {}

  template <typename... T>
  void operator()(T&... fields) {
    (Get(fields), ...);
  }
  template <typename T>
  void List(std::vector<T>& list, size_t most) {
    const auto count = reader_.Get<uint16_t>();
    if (count > most) too_long_ = true;
    for (size_t i = 0; i < count && !too_long_; ++i) list.push_back(reader_.Get<T>());
  }
  bool Done() const { return !too_long_ && reader_.Done(); }

 private:
  // A peer's words end up in a terminal or a log.
  void Get(std::string& text) {
    text = reader_.GetString();
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  template <typename T>
  void Get(T& value) {
    value = reader_.Get<T>();
  }

  ByteReader reader_;
  bool too_long_ = false;
};

// The fields of each message, in the order of the wire.

constexpr size_t kMaxWindows = 16;
struct Windows {
  std::vector<RemoteWindow> list;
};

template <typename Io>
void Fields(Io& io, Hello& m) {
  io(m.version_min, m.version_max, m.auth, m.purpose, m.features, m.nonce);
}
template <typename Io>
void Fields(Io& io, Challenge& m) {
  io(m.version, m.features, m.nonce);
}
template <typename Io>
void Fields(Io& io, Refusal& m) {
  io(m.code, m.message);
}
template <typename Io>
void Fields(Io& io, EpochRecord& m) {
  io.List(m.history, kHistoryLength);
  io.List(m.members, kMaxMirrors);
}
template <typename Io>
void Fields(Io& io, AttachRequest& m) {
  io(m.set_uuid.bytes, m.copy_uuid.bytes);
  Fields(io, m.epochs);
  io.List(m.attached, kMaxMirrors);
}
template <typename Io>
void Fields(Io& io, CopyInfo& m) {
  io(m.set_uuid.bytes, m.copy_uuid.bytes, m.role, m.state, m.pool_size, m.commit, m.tail);
  io.List(m.history, kHistoryLength);
  io(m.error);
}
template <typename Io>
void Fields(Io& io, FillRequest& m) {
  io(m.superblock, m.commit);
  Fields(io, m.epochs);
}
template <typename Io>
void Fields(Io& io, DataEndpoint& m) {
  io(m.provider);
  io.List(m.address, UINT16_MAX);
  io(m.cookie);
}
template <typename Io>
void Fields(Io& io, Windows& m) {
  io.List(m.list, kMaxWindows);
}

// Whether a message that was read can be one.

bool IsValid(const Hello& m) {
  return (m.auth == AuthMode::kNone || m.auth == AuthMode::kSharedKey) &&
         (m.purpose == Purpose::kStatus || m.purpose == Purpose::kReplicate);
}
bool IsValid(const Challenge&) { return true; }
bool IsValid(const Refusal&) { return true; }
bool IsValid(const std::vector<EpochEntry>& history) {
  return std::adjacent_find(history.begin(), history.end(),
                            [](const EpochEntry& older, const EpochEntry& newer) {
                              return newer.epoch.number <= older.epoch.number;
                            }) == history.end();
}
bool IsValid(const EpochRecord& m) {
  return !m.history.empty() && IsValid(m.history) &&
         std::all_of(m.members.begin(), m.members.end(), [](const Member& member) {
           return member.state <= MemberState::kOutOfSync && member.zero == 0;
         });
}
bool IsValid(const AttachRequest& m) { return IsValid(m.epochs) && !m.set_uuid.IsNil(); }
bool IsValid(const CopyInfo& m) {
  return IsValid(m.history) && m.role >= Role::kPrimary && m.role <= Role::kWitness &&
         m.state >= CopyState::kBlank && m.state <= CopyState::kConsistent;
}
bool IsValid(const FillRequest& m) { return IsValid(m.epochs); }
bool IsValid(const DataEndpoint& m) { return !m.address.empty(); }
bool IsValid(const Windows&) { return true; }

template <typename T>
std::vector<std::byte> EncodeMessage(T message) {
  FieldWriter writer;
  Fields(writer, message);
  return writer.Take();
}

template <typename T>
Result<T> DecodeMessage(std::span<const std::byte> payload, const char* what) {
  FieldReader reader(payload);
  T message{};
  Fields(reader, message);
  if (!reader.Done() || !IsValid(message))
    return Fail(ErrorCode::kCorrupt, "a malformed {} message arrived", what);
  return message;
}

}  // namespace

std::vector<std::byte> EncodeFrame(const Frame& frame) {
  FrameHeader header{kFrameMagic, kFraming, frame.type, static_cast<uint32_t>(frame.payload.size()),
                     0};
  header.crc = FrameCrc(header, frame.payload);
  ByteWriter writer;
  writer.Put(header);
  writer.PutBytes(frame.payload);
  return writer.Take();
}

Result<FrameHeader> DecodeFrameHeader(std::span<const std::byte, sizeof(FrameHeader)> bytes,
                                      size_t limit) {
  FrameHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kFrameMagic)
    return Fail(ErrorCode::kCorrupt, "the peer does not speak mirdax (wrong magic)");
  if (header.framing != kFraming)
    return Fail(ErrorCode::kIncompatible, "the peer uses message framing {}, this program {}",
                header.framing, kFraming);
  if (header.length > limit)
    return Fail(ErrorCode::kCorrupt, "a message of {} bytes was announced, {} are allowed here",
                header.length, limit);
  return header;
}

Result<Frame> DecodeFrame(const FrameHeader& header, std::vector<std::byte> payload) {
  if (payload.size() != header.length || FrameCrc(header, payload) != header.crc)
    return Fail(ErrorCode::kCorrupt, "a message arrived with a wrong checksum");
  return Frame{header.type, std::move(payload)};
}

std::vector<std::byte> Encode(const Hello& hello) { return EncodeMessage(hello); }
std::vector<std::byte> Encode(const Challenge& challenge) { return EncodeMessage(challenge); }
std::vector<std::byte> Encode(const Refusal& refusal) { return EncodeMessage(refusal); }
std::vector<std::byte> Encode(const AttachRequest& request) { return EncodeMessage(request); }
std::vector<std::byte> Encode(const CopyInfo& info) { return EncodeMessage(info); }
std::vector<std::byte> Encode(const EpochRecord& epochs) { return EncodeMessage(epochs); }
std::vector<std::byte> Encode(const FillRequest& request) { return EncodeMessage(request); }
std::vector<std::byte> Encode(const DataEndpoint& endpoint) { return EncodeMessage(endpoint); }
std::vector<std::byte> Encode(std::span<const RemoteWindow> windows) {
  return EncodeMessage(Windows{{windows.begin(), windows.end()}});
}

Result<Hello> DecodeHello(std::span<const std::byte> payload) {
  return DecodeMessage<Hello>(payload, "hello");
}
Result<Challenge> DecodeChallenge(std::span<const std::byte> payload) {
  return DecodeMessage<Challenge>(payload, "challenge");
}
Result<AttachRequest> DecodeAttachRequest(std::span<const std::byte> payload) {
  return DecodeMessage<AttachRequest>(payload, "attach");
}
Result<CopyInfo> DecodeCopyInfo(std::span<const std::byte> payload) {
  return DecodeMessage<CopyInfo>(payload, "copy description");
}
Result<EpochRecord> DecodeEpochRecord(std::span<const std::byte> payload) {
  return DecodeMessage<EpochRecord>(payload, "epoch");
}
Result<FillRequest> DecodeFillRequest(std::span<const std::byte> payload) {
  return DecodeMessage<FillRequest>(payload, "fill");
}
Result<DataEndpoint> DecodeDataEndpoint(std::span<const std::byte> payload) {
  return DecodeMessage<DataEndpoint>(payload, "data endpoint");
}
Result<Refusal> DecodeRefusal(std::span<const std::byte> payload) {
  return DecodeMessage<Refusal>(payload, "refusal");
}
Result<std::vector<RemoteWindow>> DecodeWindows(std::span<const std::byte> payload) {
  MIRDAX_ASSIGN(Windows windows, DecodeMessage<Windows>(payload, "memory keys"));
  return std::move(windows.list);
}

Frame RefusalFrame(const Error& error) {
  Refusal refusal{kWireCodes[0].first, error.message};
  for (const auto& [number, code] : kWireCodes)
    if (code == error.code) refusal.code = number;
  if (refusal.message.empty()) refusal.message = ErrorCodeName(error.code);
  return Frame{FrameType::kRefused, Encode(refusal)};
}

Error ErrorOfRefusal(std::span<const std::byte> payload) {
  if (payload.empty())
    return Error{ErrorCode::kPeerLost, "the peer had no memory, and dropped the connection"};
  const auto refusal = DecodeRefusal(payload);
  return refusal ? ErrorOf(*refusal) : refusal.error();
}

Error ErrorOf(const Refusal& refusal) {
  for (const auto& [number, code] : kWireCodes)
    if (number == refusal.code) return Error{code, refusal.message};
  return Error{ErrorCode::kInvalid, refusal.message};
}

}  // namespace mirdax
