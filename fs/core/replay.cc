// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/replay.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "fs/base/crc32c.h"
#include "fs/base/mutant.h"
#include "fs/core/home_writer.h"
#include "fs/format/checksums.h"

namespace mirdax {
namespace {

// Copies journal bytes [lsn, lsn + out.size()) out of the ring. Checks are made on the copy, since
// on a mirror a peer may store into the journal at any time. kIo: the medium refuses some of them.
Status CopyOut(Region& region, const Geometry& geometry, Lsn lsn, std::span<std::byte> out) {
  while (!out.empty()) {
    const uint64_t position = lsn % geometry.journal.length;
    const uint64_t length = std::min<uint64_t>(out.size(), geometry.journal.length - position);
    const uint64_t offset = geometry.journal.offset + position;
    std::memcpy(out.data(), region.At(offset, length), length);
    MIRDAX_TRY(region.CheckGood(offset, length));
    out = out.subspan(length);
    lsn += length;
  }
  return {};
}

Status CheckHeader(const RecordHeader& header, Lsn lsn, uint64_t most) {
  if (header.magic != kRecordMagic) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: magic is {:#x}, not {:#x}", lsn,
                header.magic, kRecordMagic);
  }
  if (header.lsn != lsn) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: it says it is at LSN {}", lsn,
                header.lsn);
  }
  if (header.length % kLineSize != 0 || header.length <= sizeof(RecordHeader) ||
      header.length > most) {
    return Fail(ErrorCode::kCorrupt,
                "journal record at LSN {}: length {} is not a multiple of {} in {}..{}", lsn,
                header.length, kLineSize, sizeof(RecordHeader) + kLineSize, most);
  }
  if (header.zero0 != 0 || header.zero != std::array<uint64_t, 2>{}) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: reserved fields are not zero", lsn);
  }
  // Each patch takes its own 16 bytes and at least one line.
  const uint64_t room = (header.length - sizeof(RecordHeader)) / (sizeof(Patch) + kLineSize);
  if (header.patch_count == 0 || header.patch_count > room) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: {} patches in {} bytes", lsn,
                header.patch_count, header.length);
  }
  return {};
}

Status CheckPatches(const JournalRecord& record, const Geometry& geometry) {
  uint64_t total = 0;
  for (const Patch& patch : record.patches) {
    if (patch.zero != 0 || patch.offset % kLineSize != 0 || patch.length % kLineSize != 0 ||
        patch.length == 0 || !geometry.IsHomeRange(patch.offset, patch.length)) {
      return Fail(ErrorCode::kCorrupt,
                  "journal record at LSN {}: patch of {} bytes at offset {} is not home metadata",
                  record.header.lsn, patch.length, patch.offset);
    }
    total += patch.length;
  }
  if (total != record.bytes.size()) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: patches of {} bytes, {} follow",
                record.header.lsn, total, record.bytes.size());
  }
  return {};
}

}  // namespace

Result<JournalRecord> ReadRecord(Region& region, const Geometry& geometry, Lsn lsn, Lsn limit) {
  if (lsn % kLineSize != 0 || limit < lsn || limit - lsn < sizeof(RecordHeader)) {
    return Fail(ErrorCode::kCorrupt, "journal: no record fits between LSN {} and LSN {}", lsn,
                limit);
  }
  JournalRecord record;
  MIRDAX_TRY(CopyOut(region, geometry, lsn, std::as_writable_bytes(std::span(&record.header, 1))));
  const RecordHeader& header = record.header;
  MIRDAX_TRY(CheckHeader(header, lsn, std::min(limit - lsn, geometry.journal.length)));

  const uint64_t table_bytes = uint64_t{header.patch_count} * sizeof(Patch);
  const uint64_t padding = (kLineSize - table_bytes % kLineSize) % kLineSize;
  const uint64_t front = sizeof(RecordHeader) + table_bytes + padding;
  if (front >= header.length) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: {} patches in {} bytes", lsn,
                header.patch_count, header.length);
  }
  record.patches.resize(header.patch_count);
  record.bytes.resize(header.length - front);
  std::array<std::byte, kLineSize> pad{};
  const auto table = std::as_writable_bytes(std::span(record.patches));
  MIRDAX_TRY(CopyOut(region, geometry, lsn + sizeof(RecordHeader), table));
  MIRDAX_TRY(CopyOut(region, geometry, lsn + sizeof(RecordHeader) + table_bytes,
                     std::span(pad).first(padding)));
  MIRDAX_TRY(CopyOut(region, geometry, lsn + front, record.bytes));

  uint32_t crc = ChecksumOf(BytesOf(header), offsetof(RecordHeader, crc));
  crc = Crc32c(table, crc);
  crc = Crc32c(std::span(pad).first(padding), crc);
  crc = Crc32c(record.bytes, crc);
  if (crc != header.crc) {
    return Fail(ErrorCode::kCorrupt,
                "journal record at LSN {}: checksum is {:#010x}, computed {:#010x}", lsn,
                header.crc, crc);
  }
  if (pad != std::array<std::byte, kLineSize>{}) {
    return Fail(ErrorCode::kCorrupt, "journal record at LSN {}: padding is not zero", lsn);
  }
  MIRDAX_TRY(CheckPatches(record, geometry));
  return record;
}

Result<Lsn> ReadCommitWord(Region& region, const Geometry& geometry, Lsn tail) {
  std::atomic_ref<const uint64_t> word(region.As<CommitLine>(kCommitLineOffset).commit);
  const Lsn commit = word.load(std::memory_order_acquire);
  MIRDAX_TRY(region.CheckGood(kCommitLineOffset, kLineSize));
  if (commit % kLineSize != 0 || tail % kLineSize != 0 || commit < tail ||
      commit - tail > geometry.journal.length) {
    return Fail(ErrorCode::kCorrupt,
                "commit word {} does not fit the tail {} and a journal of {} bytes", commit, tail,
                geometry.journal.length);
  }
  return commit;
}

Result<Lsn> ReplayJournal(Region& region, const Geometry& geometry, Lsn from, Lsn to,
                          uint64_t* records) {
  // Bounds the list of lines that wait for their flush.
  constexpr size_t kMostBlocksOwed = 65536;
  HomeWriter home(region);
  Lsn lsn = from;
  while (lsn != to) {
    MIRDAX_ASSIGN(const JournalRecord record, ReadRecord(region, geometry, lsn, to));
    const bool last = lsn + record.header.length == to;
    if (!last || !Mutated(Mutant::kReplayLastRecordLost)) home.Apply(record.patches, record.bytes);
    if (home.blocks_owed() > kMostBlocksOwed) MIRDAX_TRY(home.Persist());
    lsn += record.header.length;
    if (records != nullptr) ++*records;
  }
  while (Mutated(Mutant::kReplayPastCommit)) {
    const auto record = ReadRecord(region, geometry, lsn, from + geometry.journal.length);
    if (!record) break;
    home.Apply(record->patches, record->bytes);
    lsn += record->header.length;
  }
  if (!Mutated(Mutant::kReplayNotFlushed)) MIRDAX_TRY(home.Persist());
  return to;
}

}  // namespace mirdax
