// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/journal_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "fs/base/crc32c.h"
#include "fs/base/mutant.h"

namespace mirdax {
namespace {

uint64_t FrontLength(size_t patch_count) {
  const uint64_t table = patch_count * sizeof(Patch);
  return sizeof(RecordHeader) + (table + kLineSize - 1) / kLineSize * kLineSize;
}

}  // namespace

void RecordBuilder::Clear() {
  // A rare huge record does not keep its memory for ever.
  constexpr size_t kKeptBytes = size_t{1} << 20;
  patches_.clear();
  bytes_.clear();
  front_.clear();
  if (bytes_.capacity() > kKeptBytes) bytes_.shrink_to_fit();
}

void RecordBuilder::Reserve(uint64_t lines) {
  patches_.reserve(lines);
  bytes_.reserve(lines * kLineSize);
  front_.reserve(FrontLength(lines));
}

std::span<std::byte> RecordBuilder::Add(uint64_t offset, std::span<const std::byte> bytes) {
  const bool grows = !patches_.empty() &&
                     patches_.back().offset + patches_.back().length == offset &&
                     bytes.size() <= std::numeric_limits<uint32_t>::max() - patches_.back().length;
  const auto length = static_cast<uint32_t>(bytes.size());
  if (grows) {
    patches_.back().length += length;
  } else {
    patches_.push_back({.offset = offset, .length = length, .zero = 0});
  }
  const size_t at = bytes_.size();
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return std::span(bytes_).subspan(at);
}

uint64_t RecordBuilder::length() const noexcept {
  return empty() ? 0 : FrontLength(patches_.size()) + bytes_.size();
}

void RecordBuilder::Seal(Lsn lsn, uint64_t transaction, uint64_t epoch) {
  MIRDAX_CHECK(!empty());
  RecordHeader header{};
  header.magic = kRecordMagic;
  header.lsn = lsn;
  header.length = length();
  header.patch_count = static_cast<uint32_t>(patches_.size());
  header.transaction = transaction;
  header.epoch = epoch;
  front_.assign(FrontLength(patches_.size()), std::byte{0});
  std::memcpy(front_.data() + sizeof(header), patches_.data(), patches_.size() * sizeof(Patch));
  std::memcpy(front_.data(), &header, sizeof(header));
  header.crc = Crc32c(bytes_, Crc32c(front_));
  std::memcpy(front_.data(), &header, sizeof(header));
}

void JournalWriter::Append(Lsn lsn, const RecordBuilder& record) {
  Copy(lsn, record.front());
  Copy(lsn + record.front().size(), record.bytes());
}

void JournalWriter::Copy(Lsn lsn, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const uint64_t position = lsn % geometry_.journal.length;
    const uint64_t length = std::min<uint64_t>(bytes.size(), geometry_.journal.length - position);
    if (Mutated(Mutant::kJournalWrapNotFlushed) && position == 0)
      region_.Write(geometry_.journal.offset, bytes.first(length));
    else
      region_.Stream(geometry_.journal.offset + position, bytes.first(length));
    bytes = bytes.subspan(length);
    lsn += length;
  }
}

Status JournalWriter::Publish(Lsn commit) {
  region_.Store64(kCommitLineOffset, commit);
  if (Mutated(Mutant::kCommitWordNotFlushed)) return {};
  return region_.Persist(kCommitLineOffset, sizeof(CommitLine));
}

}  // namespace mirdax
