// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/control_wire.h"

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

template <typename T>
Result<T> Checked(const ByteReader& reader, bool valid, T value, const char* what) {
  if (!reader.Done() || !valid)
    return Fail(ErrorCode::kCorrupt, "a malformed {} message arrived", what);
  return value;
}

void PutEpochs(ByteWriter& writer, const EpochRecord& epochs) {
  writer.Put(static_cast<uint16_t>(epochs.history.size()));
  for (const EpochEntry& entry : epochs.history) writer.Put(entry);
  writer.Put(static_cast<uint16_t>(epochs.members.size()));
  for (const Member& member : epochs.members) writer.Put(member);
}

// A peer's words end up in a terminal or a log.
std::string GetText(ByteReader& reader) {
  std::string text = reader.GetString();
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

bool GetHistory(ByteReader& reader, std::vector<EpochEntry>& history) {
  const auto count = reader.Get<uint16_t>();
  if (count > kHistoryLength) return false;
  for (uint16_t i = 0; i < count; ++i) history.push_back(reader.Get<EpochEntry>());
  for (size_t i = 1; i < history.size(); ++i)
    if (history[i].epoch.number <= history[i - 1].epoch.number) return false;
  return true;
}

bool GetEpochs(ByteReader& reader, EpochRecord& epochs) {
  if (!GetHistory(reader, epochs.history) || epochs.history.empty()) return false;
  const auto count = reader.Get<uint16_t>();
  if (count > kMaxMirrors) return false;
  for (uint16_t i = 0; i < count; ++i) {
    const auto member = reader.Get<Member>();
    if (member.state > MemberState::kOutOfSync || member.zero != 0) return false;
    epochs.members.push_back(member);
  }
  return true;
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

std::vector<std::byte> Encode(const Hello& hello) {
  ByteWriter writer;
  writer.Put(hello.version_min);
  writer.Put(hello.version_max);
  writer.Put(hello.auth);
  writer.Put(hello.purpose);
  writer.Put(hello.features);
  writer.Put(hello.nonce);
  return writer.Take();
}

Result<Hello> DecodeHello(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  Hello hello;
  hello.version_min = reader.Get<uint16_t>();
  hello.version_max = reader.Get<uint16_t>();
  hello.auth = reader.Get<AuthMode>();
  hello.purpose = reader.Get<Purpose>();
  hello.features = reader.Get<uint64_t>();
  hello.nonce = reader.Get<Nonce>();
  const bool valid = (hello.auth == AuthMode::kNone || hello.auth == AuthMode::kSharedKey) &&
                     (hello.purpose == Purpose::kStatus || hello.purpose == Purpose::kReplicate);
  return Checked(reader, valid, hello, "hello");
}

std::vector<std::byte> Encode(const Challenge& challenge) {
  ByteWriter writer;
  writer.Put(challenge.version);
  writer.Put(challenge.features);
  writer.Put(challenge.nonce);
  return writer.Take();
}

Result<Challenge> DecodeChallenge(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  Challenge challenge;
  challenge.version = reader.Get<uint16_t>();
  challenge.features = reader.Get<uint64_t>();
  challenge.nonce = reader.Get<Nonce>();
  return Checked(reader, true, challenge, "challenge");
}

std::vector<std::byte> Encode(const Refusal& refusal) {
  ByteWriter writer;
  writer.Put(refusal.code);
  writer.PutString(refusal.message);
  return writer.Take();
}

Result<Refusal> DecodeRefusal(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  Refusal refusal;
  refusal.code = reader.Get<uint16_t>();
  refusal.message = GetText(reader);
  return Checked(reader, true, std::move(refusal), "refusal");
}

std::vector<std::byte> Encode(const EpochRecord& epochs) {
  ByteWriter writer;
  PutEpochs(writer, epochs);
  return writer.Take();
}

Result<EpochRecord> DecodeEpochRecord(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  EpochRecord epochs;
  const bool valid = GetEpochs(reader, epochs);
  return Checked(reader, valid, std::move(epochs), "epoch");
}

std::vector<std::byte> Encode(const AttachRequest& request) {
  ByteWriter writer;
  writer.Put(request.set_uuid.bytes);
  writer.Put(request.copy_uuid.bytes);
  PutEpochs(writer, request.epochs);
  return writer.Take();
}

Result<AttachRequest> DecodeAttachRequest(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  AttachRequest request;
  request.set_uuid.bytes = reader.Get<std::array<uint8_t, 16>>();
  request.copy_uuid.bytes = reader.Get<std::array<uint8_t, 16>>();
  const bool valid = GetEpochs(reader, request.epochs);
  return Checked(reader, valid && !request.set_uuid.IsNil(), std::move(request), "attach");
}

std::vector<std::byte> Encode(const CopyInfo& info) {
  ByteWriter writer;
  writer.Put(info.set_uuid.bytes);
  writer.Put(info.copy_uuid.bytes);
  writer.Put(info.role);
  writer.Put(info.state);
  writer.Put(info.pool_size);
  writer.Put(info.commit);
  writer.Put(info.tail);
  writer.Put(static_cast<uint16_t>(info.history.size()));
  for (const EpochEntry& entry : info.history) writer.Put(entry);
  writer.PutString(info.error);
  return writer.Take();
}

Result<CopyInfo> DecodeCopyInfo(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  CopyInfo info;
  info.set_uuid.bytes = reader.Get<std::array<uint8_t, 16>>();
  info.copy_uuid.bytes = reader.Get<std::array<uint8_t, 16>>();
  info.role = reader.Get<Role>();
  info.state = reader.Get<CopyState>();
  info.pool_size = reader.Get<uint64_t>();
  info.commit = reader.Get<Lsn>();
  info.tail = reader.Get<Lsn>();
  bool valid = GetHistory(reader, info.history);
  info.error = GetText(reader);
  valid = valid && info.role >= Role::kPrimary && info.role <= Role::kWitness &&
          info.state >= CopyState::kBlank && info.state <= CopyState::kConsistent;
  return Checked(reader, valid, std::move(info), "copy description");
}

std::vector<std::byte> Encode(const FillRequest& request) {
  ByteWriter writer;
  writer.Put(request.superblock);
  writer.Put(request.commit);
  PutEpochs(writer, request.epochs);
  return writer.Take();
}

Result<FillRequest> DecodeFillRequest(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  FillRequest request;
  request.superblock = reader.Get<Superblock>();
  request.commit = reader.Get<Lsn>();
  const bool valid = GetEpochs(reader, request.epochs);
  return Checked(reader, valid, std::move(request), "fill");
}

std::vector<std::byte> Encode(const DataEndpoint& endpoint) {
  ByteWriter writer;
  writer.PutString(endpoint.provider);
  writer.Put(static_cast<uint16_t>(endpoint.address.size()));
  writer.PutBytes(endpoint.address);
  writer.Put(endpoint.cookie);
  return writer.Take();
}

Result<DataEndpoint> DecodeDataEndpoint(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  DataEndpoint endpoint;
  endpoint.provider = GetText(reader);
  const std::span<const std::byte> address = reader.GetBytes(reader.Get<uint16_t>());
  endpoint.address.assign(address.begin(), address.end());
  endpoint.cookie = reader.Get<Cookie>();
  return Checked(reader, !address.empty(), std::move(endpoint), "data endpoint");
}

std::vector<std::byte> Encode(std::span<const RemoteWindow> windows) {
  ByteWriter writer;
  writer.Put(static_cast<uint16_t>(windows.size()));
  for (const RemoteWindow& window : windows) writer.Put(window);
  return writer.Take();
}

Result<std::vector<RemoteWindow>> DecodeWindows(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  std::vector<RemoteWindow> windows;
  const auto count = reader.Get<uint16_t>();
  for (uint16_t i = 0; i < count && i < 16; ++i) windows.push_back(reader.Get<RemoteWindow>());
  return Checked(reader, count <= 16, std::move(windows), "memory keys");
}

Frame RefusalFrame(const Error& error) {
  Refusal refusal{kWireCodes[0].first, error.message};
  for (const auto& [number, code] : kWireCodes)
    if (code == error.code) refusal.code = number;
  if (refusal.message.empty()) refusal.message = ErrorCodeName(error.code);
  return Frame{FrameType::kRefused, Encode(refusal)};
}

Error ErrorOf(const Refusal& refusal) {
  for (const auto& [number, code] : kWireCodes)
    if (number == refusal.code) return Error{code, refusal.message};
  return Error{ErrorCode::kInvalid, refusal.message};
}

}  // namespace mirdax
