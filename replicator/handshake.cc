// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/handshake.h"

#include <algorithm>

#include "replicator/bytes.h"

namespace mirdax {
namespace {

constexpr const char* kWrongKey =
    "authentication failed: the two ends hold different keys; give both the same key file";

Nonce NewNonce(Random& random) {
  Nonce nonce{};
  random.Fill(std::as_writable_bytes(std::span(nonce)));
  return nonce;
}

std::vector<std::byte> Encode(const Mac& mac) {
  ByteWriter writer;
  writer.Put(mac);
  return writer.Take();
}

Result<Mac> DecodeMac(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  const Mac mac = reader.Get<Mac>();
  if (!reader.Done()) return Fail(ErrorCode::kCorrupt, "a malformed proof arrived");
  return mac;
}

Status ExpectType(const Frame& frame, FrameType type) {
  if (frame.type == FrameType::kRefused) return Fail(ErrorOfRefusal(frame.payload));
  if (frame.type != type)
    return Fail(ErrorCode::kCorrupt, "message type {} where {} was expected",
                static_cast<int>(frame.type), static_cast<int>(type));
  return {};
}

}  // namespace

Status ClientHandshake(FrameChannel& channel, const Key* key, Purpose purpose, Random& random,
                       Deadline deadline) {
  Hello hello;
  hello.auth = key != nullptr ? AuthMode::kSharedKey : AuthMode::kNone;
  hello.purpose = purpose;
  hello.nonce = NewNonce(random);
  const std::vector<std::byte> hello_bytes = Encode(hello);
  MIRDAX_TRY(channel.Send(Frame{FrameType::kHello, hello_bytes}, deadline));
  MIRDAX_ASSIGN(const Frame challenge_frame, channel.Receive(kMaxFrameBeforeAuth, deadline));
  MIRDAX_TRY(ExpectType(challenge_frame, FrameType::kChallenge));
  MIRDAX_ASSIGN(const Challenge challenge, DecodeChallenge(challenge_frame.payload));
  if (challenge.version < kProtocolMin || challenge.version > kProtocolMax)
    return Fail(ErrorCode::kIncompatible,
                "the mirror chose protocol version {}, this program speaks {} to {}",
                challenge.version, kProtocolMin, kProtocolMax);
  if ((challenge.features & kFeatureTargetFlush) == 0)
    return Fail(ErrorCode::kIncompatible, "the mirror does not offer the target-flush method");

  Mac proof{};
  if (key != nullptr) proof = key->ProofOfClient(hello_bytes, challenge_frame.payload);
  MIRDAX_TRY(channel.Send(Frame{FrameType::kProof, Encode(proof)}, deadline));
  MIRDAX_ASSIGN(const Frame welcome, channel.Receive(kMaxFrameBeforeAuth, deadline));
  MIRDAX_TRY(ExpectType(welcome, FrameType::kWelcome));
  MIRDAX_ASSIGN(const Mac answer, DecodeMac(welcome.payload));
  if (key != nullptr && !SameMac(answer, key->ProofOfServer(hello_bytes, challenge_frame.payload)))
    return Fail(ErrorCode::kAuthFailed, "{}", kWrongKey);
  return {};
}

Result<Frame> ServerHandshake::Handle(const Frame& frame) {
  const State before = state_;
  state_ = State::kFailed;  // one try a connection
  if (before == State::kAwaitHello) return HandleHello(frame);
  if (before == State::kAwaitProof) return HandleProof(frame);
  return Fail(ErrorCode::kInvalid, "no handshake is expected here");
}

Result<Frame> ServerHandshake::HandleHello(const Frame& frame) {
  if (frame.type != FrameType::kHello)
    return Fail(ErrorCode::kAuthFailed, "not authenticated: a connection begins with hello");
  MIRDAX_ASSIGN(const Hello hello, DecodeHello(frame.payload));
  const uint16_t version = std::min(hello.version_max, kProtocolMax);
  if (version < kProtocolMin || version < hello.version_min)
    return Fail(ErrorCode::kIncompatible,
                "no common protocol version: the client speaks {} to {}, this daemon {} to {}; "
                "upgrade the older one",
                hello.version_min, hello.version_max, kProtocolMin, kProtocolMax);
  if (hello.auth == AuthMode::kNone && key_ != nullptr)
    return Fail(ErrorCode::kAuthFailed, "this daemon wants a key; give the client its key file");
  if (hello.auth == AuthMode::kSharedKey && key_ == nullptr)
    return Fail(ErrorCode::kAuthFailed,
                "this daemon runs with --no-auth; run it with a key, or both ends without");
  purpose_ = hello.purpose;
  Challenge challenge;
  challenge.version = version;
  challenge.features = hello.features & kKnownFeatures;
  challenge.nonce = NewNonce(random_);
  hello_ = frame.payload;
  challenge_ = Encode(challenge);
  state_ = State::kAwaitProof;
  return Frame{FrameType::kChallenge, challenge_};
}

Result<Frame> ServerHandshake::HandleProof(const Frame& frame) {
  MIRDAX_TRY(ExpectType(frame, FrameType::kProof));
  MIRDAX_ASSIGN(const Mac proof, DecodeMac(frame.payload));
  Mac answer{};
  if (key_ != nullptr) {
    if (!SameMac(proof, key_->ProofOfClient(hello_, challenge_)))
      return Fail(ErrorCode::kAuthFailed, "{}", kWrongKey);
    answer = key_->ProofOfServer(hello_, challenge_);
  }
  state_ = State::kDone;
  return Frame{FrameType::kWelcome, Encode(answer)};
}

}  // namespace mirdax
