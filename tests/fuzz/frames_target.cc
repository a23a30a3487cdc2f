// SPDX-License-Identifier: BSD-2-Clause
// Bytes of the wire, before anybody asks what they mean: the decoder of every message, and a
// control connection's socket.
//
// Input: the first byte chooses the decoder (see kDecoders; the last one is the socket), the second
// one, where it is odd, makes the checksum right, the others are the message.
//
// Violations, besides crashes and hangs: a message that is taken, but is another one when it is
// encoded and decoded again; an error without a reason.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <type_traits>
#include <vector>

#include "fs/base/clock.h"
#include "fs/format/checksums.h"
#include "replicator/data_wire.h"
#include "replicator/handshake.h"
#include "replicator/socket_channel.h"
#include "tests/fuzz/target.h"

namespace mirdax::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
void Explained(const Result<T>& result) {
  if (!result) Expect(!result.error().message.empty(), "an error without a reason");
}

// What was taken says the same when it is said again.
template <typename T>
void Decode(const Bytes& bytes, Result<T> (*decode)(std::span<const std::byte>)) {
  const auto value = decode(bytes);
  Explained(value);
  if (!value) return;
  const Bytes again = [&] {
    if constexpr (std::is_same_v<T, std::vector<RemoteWindow>>)
      return Encode(std::span<const RemoteWindow>(*value));
    else
      return Encode(*value);
  }();
  const auto twice = decode(again);
  Expect(twice.has_value() && again.size() == bytes.size(),
         "a message of {} bytes is taken, and is one of {} bytes when it is encoded again",
         bytes.size(), again.size());
}

void TakeRefusal(const Bytes& bytes) {
  const auto refusal = DecodeRefusal(bytes);
  Explained(refusal);
  if (!refusal) return;
  (void)ErrorOf(*refusal);
  for (const char c : refusal->message)
    Expect(static_cast<unsigned char>(c) >= 0x20, "a refusal keeps control characters");
}

void TakeCopyInfo(const Bytes& bytes) {
  Decode(bytes, &DecodeCopyInfo);
  const auto info = DecodeCopyInfo(bytes);
  if (!info) return;
  for (const char c : info->error)
    Expect(static_cast<unsigned char>(c) >= 0x20, "a mirror's error keeps control characters");
}

void TakeEndpoint(const Bytes& bytes) {
  Decode(bytes, &DecodeDataEndpoint);
  const auto endpoint = DecodeDataEndpoint(bytes);
  if (!endpoint) return;
  for (const char c : endpoint->provider)
    Expect(static_cast<unsigned char>(c) >= 0x20, "a provider's name keeps control characters");
}

void TakeRequest(const Bytes& bytes) {
  const auto request = DecodeDataRequest(bytes);
  Explained(request);
  if (!request) return;
  uint64_t inline_bytes = 0;
  for (const DataRange& range : request->ranges)
    if (range.flags == kRangeInline) inline_bytes += range.length;
  Expect(inline_bytes == request->inline_bytes.size(), "inline bytes do not fit their ranges");
  Expect(request->inline_bytes.empty() ||
             (request->inline_bytes.data() >= bytes.data() &&
              request->inline_bytes.data() + inline_bytes == bytes.data() + bytes.size()),
         "inline bytes lie outside their message");
}

void TakeReply(const Bytes& bytes) { Explained(DecodeDataReply(bytes)); }

void TakeFrame(const Bytes& bytes) {
  if (bytes.size() < sizeof(FrameHeader)) return;
  const auto header = DecodeFrameHeader(std::span(bytes).first<sizeof(FrameHeader)>(), kMaxFrame);
  Explained(header);
  if (!header) return;
  const auto frame = DecodeFrame(*header, {bytes.begin() + sizeof(FrameHeader), bytes.end()});
  Explained(frame);
  if (frame)
    Expect(EncodeFrame(*frame) == bytes, "a frame is another one when it is encoded again");
}

// Everything that a stranger may send, from a socket that then closes.
void TakeSocket(const Bytes& bytes) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) return;
  SystemClock clock;
  SocketChannel channel(ends[0], clock);
  const ssize_t sent = send(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  close(ends[1]);
  if (sent < 0) return;
  SeededRandom random(1);
  ServerHandshake server(nullptr, random);
  for (;;) {
    const size_t limit = server.done() ? kMaxFrame : kMaxFrameBeforeAuth;
    const auto frame = channel.Receive(limit, After(clock, std::chrono::seconds(1)));
    Explained(frame);
    if (!frame) return;
    Expect(frame->payload.size() <= limit, "a frame of {} bytes came", frame->payload.size());
    if (!server.done()) Explained(server.Handle(*frame));
  }
}

using Decoder = void (*)(const Bytes&);
constexpr std::array<Decoder, 13> kDecoders = {
    [](const Bytes& bytes) { Decode(bytes, &DecodeHello); },
    [](const Bytes& bytes) { Decode(bytes, &DecodeChallenge); },
    TakeRefusal,
    [](const Bytes& bytes) { Decode(bytes, &DecodeAttachRequest); },
    TakeCopyInfo,
    [](const Bytes& bytes) { Decode(bytes, &DecodeEpochRecord); },
    [](const Bytes& bytes) { Decode(bytes, &DecodeFillRequest); },
    TakeEndpoint,
    [](const Bytes& bytes) { Decode(bytes, &DecodeWindows); },
    TakeRequest,
    TakeReply,
    TakeFrame,
    TakeSocket,
};

// The checksum of a frame or of a data message, wherever there is one.
void Repair(size_t decoder, Bytes& bytes) {
  const Decoder take = kDecoders[decoder];
  if (take == TakeRequest || take == TakeReply) {
    if (bytes.size() < sizeof(DataReply)) return;
    const uint32_t crc = ChecksumOf(bytes, offsetof(DataReply, crc));
    std::memcpy(bytes.data() + offsetof(DataReply, crc), &crc, sizeof(crc));
  } else if (take == TakeFrame || take == TakeSocket) {
    // Frame after frame, as far as their lengths lead.
    for (std::span<std::byte> rest = bytes; rest.size() >= sizeof(FrameHeader);) {
      uint32_t length = 0;
      std::memcpy(&length, rest.data() + offsetof(FrameHeader, length), sizeof(length));
      if (length > rest.size() - sizeof(FrameHeader)) return;
      const std::span<std::byte> frame = rest.first(sizeof(FrameHeader) + length);
      const uint32_t crc = ChecksumOf(frame, offsetof(FrameHeader, crc));
      std::memcpy(frame.data() + offsetof(FrameHeader, crc), &crc, sizeof(crc));
      rest = rest.subspan(frame.size());
    }
  }
}

}  // namespace

const Grammar* InputGrammar() { return nullptr; }

void RunInput(std::string_view input) {
  if (input.size() < 2) return;
  const size_t decoder = static_cast<unsigned char>(input[0]) % kDecoders.size();
  const std::span<const std::byte> message = std::as_bytes(std::span(input)).subspan(2);
  Bytes bytes(message.begin(), message.end());
  if ((input[1] & 1) != 0) Repair(decoder, bytes);
  kDecoders[decoder](bytes);
}

}  // namespace mirdax::fuzz
