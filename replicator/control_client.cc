// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/control_client.h"

#include "fs/base/random.h"
#include "replicator/bytes.h"
#include "replicator/handshake.h"
#include "replicator/socket_channel.h"

namespace mirdax {

Result<std::string> FetchMirrorStatus(const ControlOptions& options) {
  SystemClock clock;
  SystemRandom random;
  const Deadline deadline = After(clock, options.timeout);
  std::shared_ptr<const Key> key;
  if (!options.no_auth) {
    MIRDAX_ASSIGN(key, Key::Load(options.key_file));
  }
  MIRDAX_ASSIGN(const HostPort address, ParseAddress(options.address));
  const auto named = [&](Error error) {
    error.message = fmt::format("{}: {}", options.address, error.message);
    if (error.code == ErrorCode::kPeerLost) error.message += "; is mirdax-mirrord running there?";
    return error;
  };
  auto channel = SocketChannel::Connect(address, clock, deadline);
  if (!channel) return Fail(named(std::move(channel).error()));
  if (Status status = ClientHandshake(**channel, key.get(), Purpose::kStatus, random, deadline);
      !status)
    return Fail(named(std::move(status).error()));
  auto payload = Call(**channel, FrameType::kStatus, {}, deadline);
  if (!payload) return Fail(named(std::move(payload).error()));
  ByteReader reader(*payload);
  std::string document = reader.GetString();
  if (!reader.Done())
    return Fail(ErrorCode::kCorrupt, "{}: a malformed status document", options.address);
  return document;
}

}  // namespace mirdax
