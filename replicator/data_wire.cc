// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/data_wire.h"

#include <cstring>

#include "fs/base/check.h"
#include "fs/base/crc32c.h"

namespace mirdax {
namespace {

// CRC32C of a message whose crc field (at offset 12) counts as zero.
uint32_t MessageCrc(std::span<const std::byte> message) {
  constexpr size_t kCrcOffset = offsetof(DataHeader, crc);
  static_assert(kCrcOffset == offsetof(DataReply, crc));
  const uint32_t zero = 0;
  uint32_t crc = Crc32c(message.first(kCrcOffset));
  crc = Crc32c(std::as_bytes(std::span(&zero, 1)), crc);
  return Crc32c(message.subspan(kCrcOffset + sizeof(zero)), crc);
}

}  // namespace

void DataMessage::Begin(DataType type) {
  type_ = type;
  written_bytes_ = 0;
  ranges_.clear();
  inline_.clear();
}

bool DataMessage::Fits(size_t inline_bytes) const {
  return sizeof(DataHeader) + (ranges_.size() + 1) * sizeof(DataRange) + inline_.size() +
             inline_bytes <=
         kMaxDataMessage;
}

void DataMessage::AddWritten(uint64_t offset, uint32_t length) {
  ranges_.push_back({offset, length, 0});
  written_bytes_ += length;
}

void DataMessage::AddInline(uint64_t offset, std::span<const std::byte> bytes) {
  MIRDAX_CHECK(Fits(bytes.size()));
  ranges_.push_back({offset, static_cast<uint32_t>(bytes.size()), kRangeInline});
  inline_.insert(inline_.end(), bytes.begin(), bytes.end());
}

std::span<const std::byte> DataMessage::Finish(uint64_t sequence, EpochId epoch, Lsn from, Lsn to,
                                               bool last) {
  const size_t ranges_size = ranges_.size() * sizeof(DataRange);
  message_.resize(sizeof(DataHeader) + ranges_size + inline_.size());
  DataHeader header{};
  header.magic = kDataMagic;
  header.version = kDataVersion;
  header.type = type_;
  header.length = static_cast<uint32_t>(message_.size());
  header.sequence = sequence;
  header.epoch = epoch;
  header.from = from;
  header.to = to;
  header.range_count = static_cast<uint32_t>(ranges_.size());
  header.flags = last ? kDataLast : 0;
  std::memcpy(message_.data(), &header, sizeof(header));
  if (ranges_size != 0) std::memcpy(message_.data() + sizeof(header), ranges_.data(), ranges_size);
  if (!inline_.empty())
    std::memcpy(message_.data() + sizeof(header) + ranges_size, inline_.data(), inline_.size());
  header.crc = MessageCrc(message_);
  std::memcpy(message_.data(), &header, sizeof(header));
  return message_;
}

Result<DataRequest> DecodeDataRequest(std::span<const std::byte> message) {
  DataRequest request{};
  if (message.size() < sizeof(DataHeader))
    return Fail(ErrorCode::kCorrupt, "a data message of {} bytes is too short", message.size());
  std::memcpy(&request.header, message.data(), sizeof(DataHeader));
  const DataHeader& header = request.header;
  if (header.magic != kDataMagic || header.length != message.size())
    return Fail(ErrorCode::kCorrupt, "a data message has a wrong magic or length");
  if (header.version != kDataVersion)
    return Fail(ErrorCode::kIncompatible, "a data message has version {}, this program speaks {}",
                header.version, kDataVersion);
  if (MessageCrc(message) != header.crc)
    return Fail(ErrorCode::kCorrupt, "a data message has a wrong checksum");
  if (header.type < DataType::kSync || header.type > DataType::kFillZero ||
      (header.flags & ~kDataLast) != 0)
    return Fail(ErrorCode::kCorrupt, "a data message has an unknown type or flag");
  std::span<const std::byte> rest = message.subspan(sizeof(DataHeader));
  if (header.range_count > rest.size() / sizeof(DataRange))
    return Fail(ErrorCode::kCorrupt, "a data message announces more ranges than it holds");
  request.ranges.resize(header.range_count);
  if (header.range_count != 0)
    std::memcpy(request.ranges.data(), rest.data(), header.range_count * sizeof(DataRange));
  request.inline_bytes = rest.subspan(header.range_count * sizeof(DataRange));
  uint64_t inline_size = 0;
  for (const DataRange& range : request.ranges) {
    if ((range.flags & ~kRangeInline) != 0 || range.length == 0)
      return Fail(ErrorCode::kCorrupt, "a data message has an empty range or an unknown flag");
    if (range.flags == kRangeInline) inline_size += range.length;
  }
  if (inline_size != request.inline_bytes.size())
    return Fail(ErrorCode::kCorrupt, "a data message's inline bytes do not fit its ranges");
  return request;
}

DataReply MakeDataReply(uint64_t sequence, DataStatus status, Lsn commit, Lsn applied) {
  DataReply reply{};
  reply.magic = kDataMagic;
  reply.version = kDataVersion;
  reply.type = DataType::kReply;
  reply.length = sizeof(reply);
  reply.sequence = sequence;
  reply.status = static_cast<uint64_t>(status);
  reply.commit = commit;
  reply.applied = applied;
  reply.crc = MessageCrc(std::as_bytes(std::span(&reply, 1)));
  return reply;
}

Result<DataReply> DecodeDataReply(std::span<const std::byte> message) {
  DataReply reply{};
  if (message.size() != sizeof(reply))
    return Fail(ErrorCode::kCorrupt, "an answer of {} bytes on the data connection",
                message.size());
  std::memcpy(&reply, message.data(), sizeof(reply));
  if (reply.magic != kDataMagic || reply.version != kDataVersion ||
      reply.type != DataType::kReply || reply.length != sizeof(reply) ||
      MessageCrc(message) != reply.crc || reply.status > static_cast<uint64_t>(DataStatus::kFailed))
    return Fail(ErrorCode::kCorrupt, "a malformed answer on the data connection");
  return reply;
}

}  // namespace mirdax
