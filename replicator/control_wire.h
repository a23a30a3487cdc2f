// SPDX-License-Identifier: BSD-2-Clause
// The control connection's messages. docs/PROTOCOL.md is the specification.
//
//   Frame   0       4         6      8        12     16
//           +-------+---------+------+--------+------+---------...
//           | magic | framing | type | length | crc  | payload (length bytes)
//           +-------+---------+------+--------+------+---------...
//   crc: CRC32C of header (crc = 0) and payload. `framing` covers this picture and the payloads of
//   kHello and kRefused, which every version understands; all else follows the negotiated version.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/base/uuid.h"
#include "fs/format/layout.h"

namespace mirdax {

inline constexpr uint32_t kFrameMagic = 0x43584d44;  // "DMXC"
inline constexpr uint16_t kFraming = 1;
inline constexpr uint16_t kProtocolMin = 1;  // versions that this program speaks
inline constexpr uint16_t kProtocolMax = 1;
inline constexpr uint64_t kFeatureTargetFlush = 1;  // the mirror's CPU persists (SyncRequest)
inline constexpr uint64_t kKnownFeatures = kFeatureTargetFlush;

inline constexpr size_t kMaxFrameBeforeAuth = size_t{4} * 1024;  // payload bytes
inline constexpr size_t kMaxFrame = size_t{64} * 1024;

// Never renumbered.
enum class FrameType : uint16_t {
  kHello = 1,       // Hello; the client begins
  kChallenge = 2,   // Challenge
  kProof = 3,       // Mac of the client
  kWelcome = 4,     // Mac of the server: authenticated, requests may follow
  kRefused = 5,     // Refusal; after it the connection is closed, except in reply to a request
  kStatus = 16,     // empty -> text: the status document
  kAttach = 17,     // AttachRequest -> CopyInfo
  kDataOpen = 18,   // empty -> DataEndpoint
  kDataKeys = 19,   // empty -> DataKeys, once the data connection stands
  kSetEpoch = 20,   // EpochRecord -> CopyInfo, durable
  kFillBegin = 21,  // FillRequest -> CopyInfo, durable
  kFillEnd = 22,    // FillRequest -> CopyInfo, durable
  kHeartbeat = 23,  // LSN to apply up to -> CopyInfo
  kDetach = 24,     // empty -> empty
  kReply = 64,      // + the payload its request defines
};

struct FrameHeader {
  uint32_t magic;
  uint16_t framing;
  FrameType type;
  uint32_t length;
  uint32_t crc;
};
static_assert(sizeof(FrameHeader) == 16);

struct Frame {
  FrameType type{};
  std::vector<std::byte> payload;
};

std::vector<std::byte> EncodeFrame(const Frame& frame);
// Checks everything but the checksum, which needs the payload. `limit`: payload bytes allowed.
// kIncompatible (another framing), kCorrupt (not a frame, too long).
Result<FrameHeader> DecodeFrameHeader(std::span<const std::byte, sizeof(FrameHeader)> bytes,
                                      size_t limit);
// kCorrupt when the checksum does not fit.
Result<Frame> DecodeFrame(const FrameHeader& header, std::vector<std::byte> payload);

enum class AuthMode : uint8_t { kNone = 1, kSharedKey = 2 };
enum class Purpose : uint8_t { kStatus = 1, kReplicate = 2 };
using Nonce = std::array<uint8_t, 32>;
using Mac = std::array<uint8_t, 32>;
using Cookie = std::array<uint8_t, 16>;

struct Hello {
  uint16_t version_min = kProtocolMin;
  uint16_t version_max = kProtocolMax;
  AuthMode auth = AuthMode::kSharedKey;
  Purpose purpose = Purpose::kStatus;
  uint64_t features = kKnownFeatures;
  Nonce nonce{};
};
struct Challenge {
  uint16_t version = kProtocolMax;
  uint64_t features = kKnownFeatures;  // those that both ends have
  Nonce nonce{};
};
struct Refusal {
  uint16_t code = 0;  // WireCode
  std::string message;
};

// The history of epochs and the in-sync list, as a primary has them.
struct EpochRecord {
  std::vector<EpochEntry> history;  // oldest first; the last one is the current epoch
  std::vector<Member> members;      // at most kMaxMirrors
};
struct AttachRequest {
  Uuid set_uuid;
  Uuid copy_uuid;  // the primary's
  EpochRecord epochs;
  std::vector<Uuid> attached{};  // the copies that it is attached to already
};
// How a mirror describes itself.
struct CopyInfo {
  Uuid set_uuid;
  Uuid copy_uuid;
  Role role{};
  CopyState state{};
  uint64_t pool_size = 0;  // bytes mapped
  Lsn commit = 0;
  Lsn tail = 0;
  std::vector<EpochEntry> history;
  std::string error;  // not empty: the copy takes no pushes, and why
};
struct FillRequest {
  Superblock superblock;  // of the primary
  EpochRecord epochs;
  Lsn commit = 0;
};
struct DataEndpoint {
  std::string provider;
  std::vector<std::byte> address;  // as the provider's fi_getname gave it
  Cookie cookie{};                 // proves that the data connection belongs to this one
};
// A part of the pool that the primary may write to.
struct RemoteWindow {
  PoolRange range;
  uint64_t key = 0;
  uint64_t address = 0;  // what range.offset is called on the wire
};

std::vector<std::byte> Encode(const Hello& hello);
std::vector<std::byte> Encode(const Challenge& challenge);
std::vector<std::byte> Encode(const Refusal& refusal);
std::vector<std::byte> Encode(const AttachRequest& request);
std::vector<std::byte> Encode(const CopyInfo& info);
std::vector<std::byte> Encode(const EpochRecord& epochs);
std::vector<std::byte> Encode(const FillRequest& request);
std::vector<std::byte> Encode(const DataEndpoint& endpoint);
std::vector<std::byte> Encode(std::span<const RemoteWindow> windows);

// kCorrupt names the message. Enums and counts are checked; what they mean is the caller's to
// check.
Result<Hello> DecodeHello(std::span<const std::byte> payload);
Result<Challenge> DecodeChallenge(std::span<const std::byte> payload);
Result<Refusal> DecodeRefusal(std::span<const std::byte> payload);
Result<AttachRequest> DecodeAttachRequest(std::span<const std::byte> payload);
Result<CopyInfo> DecodeCopyInfo(std::span<const std::byte> payload);
Result<EpochRecord> DecodeEpochRecord(std::span<const std::byte> payload);
Result<FillRequest> DecodeFillRequest(std::span<const std::byte> payload);
Result<DataEndpoint> DecodeDataEndpoint(std::span<const std::byte> payload);
Result<std::vector<RemoteWindow>> DecodeWindows(std::span<const std::byte> payload);

// Errors on the wire: a code of ours that the other end understands whatever its version.
Frame RefusalFrame(const Error& error);
Error ErrorOf(const Refusal& refusal);
// What a kRefused with this payload means to who gets it. Empty: no memory was left to say why.
Error ErrorOfRefusal(std::span<const std::byte> payload);

}  // namespace mirdax
