// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "fs/base/crc32c.h"
#include "fs/core/journal_writer.h"
#include "fs/format/checksums.h"
#include "tests/support/memory_pool.h"

namespace mirdax {
namespace {

using test::MemoryPool;

class ReplayTest : public testing::Test {
 protected:
  ReplayTest() {
    FormatOptions options;
    options.geometry.journal_size = kMinJournalSize;
    pool_ = MemoryPool::Create(kMinPoolSize, options);
  }

  Region& region() { return pool_->region(); }
  const Geometry& geometry() const { return pool_->geometry(); }
  uint64_t HomeOffset(uint64_t line) const {
    return geometry().inode_table.offset + kBlockSize + line * kLineSize;
  }

  // Writes a record of `lines` lines, each `value`, to every second home line from `first`.
  Lsn Append(Lsn lsn, uint64_t first, uint64_t lines, uint8_t value) {
    RecordBuilder record;
    const std::vector<std::byte> line(kLineSize, std::byte{value});
    for (uint64_t i = 0; i < lines; ++i) record.Add(HomeOffset(first + 2 * i), line);
    record.Seal(lsn, 1, 1);
    JournalWriter(region(), geometry()).Append(lsn, record);
    return lsn + record.length();
  }

  std::byte* JournalAt(Lsn lsn) {
    return region().memory().data() + geometry().journal.offset + lsn % geometry().journal.length;
  }

  // A record of one line at LSN 0 with a hostile change, and a checksum that is right again.
  template <typename Change>
  std::string ErrorOf(const Change& change) {
    const Lsn end = Append(0, 0, 2, 7);
    auto* header = reinterpret_cast<RecordHeader*>(JournalAt(0));
    auto* patches = reinterpret_cast<Patch*>(JournalAt(sizeof(RecordHeader)));
    change(*header, patches);
    header->crc = 0;
    header->crc = Crc32c(std::span(JournalAt(0), end));
    const auto record = ReadRecord(region(), geometry(), 0, end);
    if (record) return "no error";
    EXPECT_EQ(record.error().code, ErrorCode::kCorrupt);
    return record.error().message;
  }

  std::unique_ptr<MemoryPool> pool_;
};

TEST_F(ReplayTest, WhatWasAppendedIsReadBackAnywhereInTheRing) {
  const uint64_t journal = geometry().journal.length;
  for (const Lsn lsn : {Lsn{0}, journal - 64, journal - 128, 7 * journal - 192, 7 * journal}) {
    const Lsn end = Append(lsn, 0, 5, 9);
    const auto record = ReadRecord(region(), geometry(), lsn, end);
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(record->header.length, end - lsn);
    EXPECT_EQ(record->patches.size(), 5U);
    EXPECT_EQ(record->bytes, std::vector<std::byte>(5 * kLineSize, std::byte{9}));
  }
}

TEST_F(ReplayTest, NeighbouringBytesBecomeOnePatch) {
  RecordBuilder record;
  const std::vector<std::byte> line(kLineSize);
  record.Add(4096, line);
  record.Add(4160, line);
  record.Add(8192, line);
  EXPECT_EQ(record.patches().size(), 2U);
  EXPECT_EQ(record.length(), 64 + 64 + 3 * 64U);
}

TEST_F(ReplayTest, EveryFlippedByteOfARecordIsDetected) {
  const Lsn from = geometry().journal.length - 256;  // wraps
  const Lsn end = Append(from, 0, 3, 5);
  std::mt19937 random(1);
  for (Lsn at = from; at < end; ++at) {
    const std::byte mask{static_cast<uint8_t>(1U << (random() % 8))};
    *JournalAt(at) ^= mask;
    const auto record = ReadRecord(region(), geometry(), from, end);
    ASSERT_FALSE(record) << "byte " << at - from;
    EXPECT_EQ(record.error().code, ErrorCode::kCorrupt);
    *JournalAt(at) ^= mask;
  }
  EXPECT_TRUE(ReadRecord(region(), geometry(), from, end));
}

TEST_F(ReplayTest, HostileHeadersAreRefusedBeforeAnythingIsAllocated) {
  using testing::HasSubstr;
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.magic = 0; }), HasSubstr("magic"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.lsn = 64; }), HasSubstr("LSN 64"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.length = ~uint64_t{0} - 63; }),
              HasSubstr("length"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.length = 0; }), HasSubstr("length"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.length = 64; }), HasSubstr("length"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.length -= 1; }), HasSubstr("length"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.patch_count = 0; }), HasSubstr("patches"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.patch_count = ~0U; }), HasSubstr("patches"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.zero0 = 1; }), HasSubstr("zero"));
  EXPECT_THAT(ErrorOf([](RecordHeader& h, Patch*) { h.zero[1] = 1; }), HasSubstr("zero"));
}

TEST_F(ReplayTest, PatchesThatLeaveHomeAreRefused) {
  using testing::HasSubstr;
  const auto refused = HasSubstr("not home metadata");
  for (const uint64_t offset : {kSuperblockOffset, kPrivateBlockOffset, kCommitLineOffset,
                                geometry().journal.offset, geometry().out_of_sync.offset,
                                geometry().pool_size, ~uint64_t{63}, geometry().data.end() - 0}) {
    EXPECT_THAT(ErrorOf([&](RecordHeader&, Patch* p) { p[1].offset = offset; }), refused) << offset;
  }
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[0].offset += 8; }), refused);
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[0].length = 0; }), refused);
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[0].length = 8; }), refused);
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[0].zero = 1; }), refused);
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[0].length += 64; }), HasSubstr("follow"));
  EXPECT_THAT(ErrorOf([](RecordHeader&, Patch* p) { p[3].zero = 1; }), HasSubstr("padding"));
}

TEST_F(ReplayTest, ARecordEndsAtOrBelowTheLimit) {
  const Lsn end = Append(0, 0, 1, 1);
  EXPECT_TRUE(ReadRecord(region(), geometry(), 0, end));
  EXPECT_FALSE(ReadRecord(region(), geometry(), 0, end - 64));
  EXPECT_FALSE(ReadRecord(region(), geometry(), 0, 0));
  EXPECT_FALSE(ReadRecord(region(), geometry(), 64, 0));
  EXPECT_FALSE(ReadRecord(region(), geometry(), 8, end));
}

TEST_F(ReplayTest, TheCommitWordMustFitTheTail) {
  const uint64_t journal = geometry().journal.length;
  const auto read = [&](Lsn commit, Lsn tail) {
    region().Store64(kCommitLineOffset, commit);
    return ReadCommitWord(region(), geometry(), tail);
  };
  EXPECT_EQ(read(128, 64).value_or(0), 128U);
  EXPECT_EQ(read(64 + journal, 64).value_or(0), 64 + journal);
  EXPECT_FALSE(read(128 + journal, 64));
  EXPECT_FALSE(read(64, 128));
  EXPECT_FALSE(read(65, 64));
  EXPECT_FALSE(read(~uint64_t{63}, 64));
}

TEST_F(ReplayTest, ReplayStoresRecordsInOrderAndTwiceIsOnce) {
  Lsn end = Append(0, 0, 4, 1);
  end = Append(end, 4, 4, 2);  // overlaps two lines of the first
  for (int round = 0; round < 2; ++round) {
    uint64_t records = 0;
    EXPECT_EQ(ReplayJournal(region(), geometry(), 0, end, &records).value_or(0), end);
    EXPECT_EQ(records, 2U);
    EXPECT_EQ(*region().At(HomeOffset(2), 1), std::byte{1});
    EXPECT_EQ(*region().At(HomeOffset(4), 1), std::byte{2});
    EXPECT_EQ(*region().At(HomeOffset(10), 1), std::byte{2});
    EXPECT_EQ(*region().At(HomeOffset(1), 1), std::byte{0});
  }
}

TEST_F(ReplayTest, NothingBehindABadRecordIsStored) {
  const Lsn first = Append(0, 0, 1, 1);
  const Lsn second = Append(first, 2, 1, 2);
  const Lsn third = Append(second, 4, 1, 3);
  *JournalAt(first + 100) ^= std::byte{1};
  const auto replayed = ReplayJournal(region(), geometry(), 0, third);
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(*region().At(HomeOffset(0), 1), std::byte{1});
  EXPECT_EQ(*region().At(HomeOffset(2), 1), std::byte{0});
  EXPECT_EQ(*region().At(HomeOffset(4), 1), std::byte{0});
}

TEST_F(ReplayTest, RandomJournalsNeverStoreOutsideHome) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const Lsn end = Append(0, 0, 8, 1);
    for (int i = 0; i < 8; ++i) {
      const uint64_t value = random();
      std::memcpy(JournalAt(8 + random() % (end - 16)), &value, sizeof(value));
    }
    // The lucky case, a right checksum, is the dangerous one.
    auto* header = reinterpret_cast<RecordHeader*>(JournalAt(0));
    header->magic = kRecordMagic;
    header->lsn = 0;
    header->length = end;
    header->crc = 0;
    header->crc = Crc32c(std::span(JournalAt(0), end));
    const std::vector<std::byte> before(region().At(0, kDynamicAreaOffset),
                                        region().At(0, kDynamicAreaOffset) + kDynamicAreaOffset);
    static_cast<void>(ReplayJournal(region(), geometry(), 0, end));
    EXPECT_EQ(std::memcmp(before.data(), region().At(0, kDynamicAreaOffset), before.size()), 0);
  }
}

}  // namespace
}  // namespace mirdax
