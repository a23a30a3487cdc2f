// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/superblock.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "fs/format/checksums.h"
#include "fs/format/geometry.h"
#include "tests/unit/format/golden_superblock.h"

namespace mirdax {
namespace {

using test::GoldenSuperblock;

Superblock Changed(const std::function<void(Superblock&)>& change, uint64_t sequence = 1) {
  Superblock sb = GoldenSuperblock(sequence);
  change(sb);
  Seal(sb);
  return sb;
}

ErrorCode CodeOf(const Superblock& sb) {
  const auto result = DecodeSuperblock(BytesOf(sb));
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInvalid : result.error().code;
}

TEST(Superblock, AValidOneIsRead) {
  const auto sb = DecodeSuperblock(BytesOf(GoldenSuperblock()));
  ASSERT_TRUE(sb) << sb.error().message;
  EXPECT_EQ(LabelOf(*sb), "golden");
}

TEST(Superblock, AnyFlippedBitIsNoticed) {
  for (size_t bit = 0; bit < kBlockSize * 8; ++bit) {
    Superblock sb = GoldenSuperblock();
    auto* bytes = reinterpret_cast<uint8_t*>(&sb);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
    ASSERT_FALSE(DecodeSuperblock(BytesOf(sb))) << bit;
  }
}

TEST(Superblock, FieldsAreCheckedEvenUnderAGoodChecksum) {
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.magic = 1; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.sequence = 0; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.set_uuid = {}; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.zero[3807] = 1; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.label.fill('x'); })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.label[0] = '\x1b'; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.label[63] = 'x'; })), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([](auto& sb) { sb.journal_offset = 0; })), ErrorCode::kCorrupt);
}

TEST(Superblock, NewerFormatsAreToldApartFromDamage) {
  const auto version = DecodeSuperblock(BytesOf(Changed([](auto& sb) { sb.version = 7; })));
  ASSERT_FALSE(version);
  EXPECT_EQ(version.error().code, ErrorCode::kIncompatible);
  EXPECT_NE(version.error().message.find("version 7"), std::string::npos);
  const auto bits = DecodeSuperblock(BytesOf(Changed([](auto& sb) { sb.incompat = 0x11; })));
  ASSERT_FALSE(bits);
  EXPECT_EQ(bits.error().code, ErrorCode::kIncompatible);
  EXPECT_NE(bits.error().message.find("0x10"), std::string::npos);
}

TEST(Superblock, UnknownCompatibleFeaturesPass) {
  EXPECT_TRUE(DecodeSuperblock(BytesOf(Changed([](auto& sb) { sb.compat = ~uint64_t{0}; }))));
  const auto ro = DecodeSuperblock(BytesOf(Changed([](auto& sb) { sb.ro_compat = 6; })));
  ASSERT_TRUE(ro);
  EXPECT_EQ(UnknownRoCompat(*ro), "0x6");
  EXPECT_EQ(UnknownRoCompat(GoldenSuperblock()), "");
}

TEST(Superblock, ABlankMirrorStatesNothingButItsSize) {
  const auto blank = [](Superblock& sb) {
    sb.incompat = kIncompatBlank;
    sb.set_uuid = {};
    StoreGeometry(Geometry{}, sb);
    sb.pool_size = kMinPoolSize;
  };
  EXPECT_TRUE(DecodeSuperblock(BytesOf(Changed(blank))));
  EXPECT_EQ(CodeOf(Changed([&](auto& sb) {
              blank(sb);
              sb.journal_size = 4096;
            })),
            ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([&](auto& sb) {
              blank(sb);
              sb.set_uuid[0] = 1;
            })),
            ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(Changed([&](auto& sb) {
              blank(sb);
              sb.pool_size = 4096;
            })),
            ErrorCode::kCorrupt);
}

TEST(SuperblockPair, TheNewerValidOneWins) {
  const auto slot = [](const Superblock& a, const Superblock& b) {
    const auto choice = ChooseSuperblock(BytesOf(a), BytesOf(b));
    return choice ? static_cast<int>(choice->slot) : -1;
  };
  EXPECT_EQ(slot(GoldenSuperblock(1), GoldenSuperblock(2)), 1);
  EXPECT_EQ(slot(GoldenSuperblock(3), GoldenSuperblock(2)), 0);
  EXPECT_EQ(slot(GoldenSuperblock(1), Superblock{}), 0);
  EXPECT_EQ(slot(Superblock{}, GoldenSuperblock(1)), 1);
  EXPECT_EQ(slot(Superblock{}, Superblock{}), -1);
}

TEST(SuperblockPair, ATornUpdateLeavesTheOldOne) {
  const Superblock old = GoldenSuperblock(4);
  const Superblock next = Changed([](auto& sb) { SetLabel(sb, "next"); }, 5);
  // Any prefix of the update, in units of 8 bytes, over the superblock of sequence 3.
  for (size_t landed = 0; landed < kBlockSize; landed += 8) {
    Superblock torn = GoldenSuperblock(3);
    std::memcpy(&torn, &next, landed);
    const auto choice = ChooseSuperblock(BytesOf(old), BytesOf(torn));
    ASSERT_TRUE(choice) << landed;
    // Once everything that differs has landed, the update is whole.
    if (std::memcmp(&torn, &next, sizeof(next)) != 0) {
      ASSERT_EQ(choice->slot, 0U) << landed;
    }
  }
}

TEST(SuperblockPair, ANewerFormatIsNotHiddenByAnOldSuperblock) {
  const Superblock newer = Changed([](auto& sb) { sb.version = 2; }, 9);
  const auto choice = ChooseSuperblock(BytesOf(GoldenSuperblock(8)), BytesOf(newer));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kIncompatible);
  EXPECT_TRUE(ChooseSuperblock(BytesOf(GoldenSuperblock(10)), BytesOf(newer)));
}

TEST(Label, IsUtf8WithoutControlCharactersAndFits) {
  EXPECT_TRUE(CheckLabel(""));
  EXPECT_TRUE(CheckLabel("Données été 日本 🚀"));
  EXPECT_TRUE(CheckLabel(std::string(kMaxLabelLength, 'x')));
  EXPECT_FALSE(CheckLabel(std::string(kMaxLabelLength + 1, 'x')));
  for (const char* bad : {"a\nb", "\x7f", "\x1b[31m", "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xc2\x85", "\xe0\x80\x80"})
    EXPECT_FALSE(CheckLabel(bad));
}

}  // namespace
}  // namespace mirdax
