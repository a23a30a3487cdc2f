// SPDX-License-Identifier: BSD-2-Clause
// The data connection's messages: what travels beside the one-sided writes.
//
//   DataHeader (64 bytes)   DataRange[range_count]   the bytes of the inline ranges, in order
//
// A request names the ranges that must be made durable. Bytes of a range either were written before
// by one-sided writes, or travel in the message (kRangeInline) and are stored by the mirror: for
// small ones that costs less than a write of their own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fs/base/result.h"
#include "fs/format/layout.h"

namespace mirdax {

inline constexpr uint32_t kDataMagic = 0x44584d44;  // "DMXD"
inline constexpr uint16_t kDataVersion = 1;
inline constexpr size_t kMaxDataMessage = size_t{64} * 1024;
inline constexpr size_t kDataWindow = 8;  // requests without an answer yet, at most

enum class DataType : uint16_t {
  kSync = 1,  // persist the ranges; with kLast, then publish `to` (from == to: nothing to publish)
  kFillHome = 2,  // store into bitmaps and inode table; only while this copy is being filled
  kFillZero = 3,  // the same for ranges that hold zeros
  kReply = 4,     // DataReply
};
inline constexpr uint32_t kDataLast = 1;  // DataHeader::flags: the batch ends here: drain, publish
inline constexpr uint32_t kRangeInline = 1;

struct DataHeader {
  uint32_t magic;
  uint16_t version;
  DataType type;
  uint32_t length;    // of the whole message
  uint32_t crc;       // CRC32C of the whole message with crc = 0
  uint64_t sequence;  // 1, 2, 3... on this connection: a repeated or lost message is noticed
  EpochId epoch;      // under which it was made (R6)
  Lsn from;           // journal bytes [from, to) are complete with this batch
  Lsn to;
  uint32_t range_count;
  uint32_t flags;
};
static_assert(sizeof(DataHeader) == 64);
static_assert(std::has_unique_object_representations_v<DataHeader>);

struct DataRange {
  uint64_t offset;  // bytes from the start of the pool
  uint32_t length;
  uint32_t flags;  // kRangeInline
};
static_assert(sizeof(DataRange) == 16);

struct DataReply {
  uint32_t magic;
  uint16_t version;
  DataType type;
  uint32_t length;
  uint32_t crc;
  uint64_t sequence;  // of the request
  uint64_t status;    // 0 = durable, else a code of DataStatus
  Lsn commit;         // the mirror's commit word
  Lsn applied;        // its persisted tail
};
static_assert(sizeof(DataReply) == 48);

enum class DataStatus : uint64_t { kDurable = 0, kStale = 1, kRefused = 2, kFailed = 3 };

// Composes one request in a buffer that is used again and again.
// REQUIRES (Add...): fits() was asked.
class DataMessage {
 public:
  void Begin(DataType type);
  uint64_t written_bytes() const { return written_bytes_; }  // of the ranges that are not inline
  // Room for one more range with this many inline bytes?
  bool Fits(size_t inline_bytes) const;
  void AddWritten(uint64_t offset, uint32_t length);
  void AddInline(uint64_t offset, std::span<const std::byte> bytes);
  // The finished message; valid until the next Begin().
  std::span<const std::byte> Finish(uint64_t sequence, EpochId epoch, Lsn from, Lsn to, bool last);

 private:
  DataType type_{};
  uint64_t written_bytes_ = 0;
  std::vector<DataRange> ranges_;
  std::vector<std::byte> inline_;
  std::vector<std::byte> message_;
};

// A request that was checked: sizes, checksum, counts, flags. Ranges are not yet compared with any
// pool.
struct DataRequest {
  DataHeader header;
  std::vector<DataRange> ranges;
  std::span<const std::byte> inline_bytes;  // points into the message
};
Result<DataRequest> DecodeDataRequest(
    std::span<const std::byte> message);  // kCorrupt, kIncompatible

DataReply MakeDataReply(uint64_t sequence, DataStatus status, Lsn commit, Lsn applied);
Result<DataReply> DecodeDataReply(std::span<const std::byte> message);  // kCorrupt

}  // namespace mirdax
