// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/private_block.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "fs/format/checksums.h"

namespace mirdax {
namespace {

PrivateBlock Valid(uint64_t sequence = 1) {
  PrivateBlock block{};
  block.magic = kPrivateMagic;
  block.sequence = sequence;
  block.copy_uuid.fill(1);
  block.set_uuid.fill(2);
  block.role = Role::kPrimary;
  block.state = CopyState::kConsistent;
  block.clean = 1;
  block.history_count = 2;
  block.history[0] = {.epoch = {1, 11}, .start = 0, .since_seconds = 5};
  block.history[1] = {.epoch = {4, 44}, .start = 640, .since_seconds = 6};
  block.tail = 704;
  Member& member = block.members[1];
  member.copy_uuid.fill(3);
  member.state = MemberState::kInSync;
  std::memcpy(member.address.data(), "[::1]:7000", 10);
  Seal(block);
  return block;
}

TEST(PrivateBlock, AValidOneIsRead) {
  const auto block = DecodePrivateBlock(BytesOf(Valid()));
  ASSERT_TRUE(block) << block.error().message;
  EXPECT_EQ(block->tail, 704U);
}

TEST(PrivateBlock, AnyFlippedBitIsNoticed) {
  for (size_t bit = 0; bit < kBlockSize * 8; ++bit) {
    PrivateBlock block = Valid();
    auto* bytes = reinterpret_cast<uint8_t*>(&block);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
    ASSERT_FALSE(DecodePrivateBlock(BytesOf(block))) << bit;
  }
}

TEST(PrivateBlock, FieldsAreCheckedEvenUnderAGoodChecksum) {
  const std::vector<std::function<void(PrivateBlock&)>> changes = {
      [](auto& b) { b.sequence = 0; },
      [](auto& b) { b.copy_uuid = {}; },
      [](auto& b) { b.set_uuid = {}; },
      [](auto& b) { b.role = Role{0}; },
      [](auto& b) { b.role = Role{4}; },
      [](auto& b) { b.state = CopyState{0}; },
      [](auto& b) { b.state = CopyState{4}; },
      [](auto& b) { b.clean = 2; },
      [](auto& b) { b.tail = 65; },
      [](auto& b) { b.history_count = 0; },
      [](auto& b) { b.history_count = 33; },
      [](auto& b) { b.history_count = UINT32_MAX; },
      [](auto& b) { b.history[1].epoch.number = 1; },
      [](auto& b) { b.history[1].start = 1; },
      [](auto& b) { b.history[2].since_seconds = 1; },
      [](auto& b) { b.members[1].state = MemberState{3}; },
      [](auto& b) { b.members[1].copy_uuid = {}; },
      [](auto& b) { b.members[1].zero = 1; },
      [](auto& b) { b.members[1].address.fill('x'); },
      [](auto& b) { b.members[1].address[3] = '\n'; },
      [](auto& b) { b.members[1].address[95] = 'x'; },
      [](auto& b) { b.members[0].since_epoch = 1; },
      [](auto& b) { b.zero[1967] = 1; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    PrivateBlock block = Valid();
    changes[i](block);
    Seal(block);
    const auto result = DecodePrivateBlock(BytesOf(block));
    ASSERT_FALSE(result) << i;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  }
}

TEST(PrivateBlock, ABlankMirrorNeedsNoHistoryAndNoSet) {
  PrivateBlock block{};
  block.magic = kPrivateMagic;
  block.sequence = 1;
  block.copy_uuid.fill(1);
  block.role = Role::kMirror;
  block.state = CopyState::kBlank;
  EXPECT_TRUE(CheckPrivateBlock(block));
}

TEST(PrivateBlockPair, TheNewerValidOneWins) {
  const auto slot = [](const PrivateBlock& a, const PrivateBlock& b) {
    const auto choice = ChoosePrivateBlock(BytesOf(a), BytesOf(b));
    return choice ? static_cast<int>(choice->slot) : -1;
  };
  EXPECT_EQ(slot(Valid(1), Valid(2)), 1);
  EXPECT_EQ(slot(Valid(3), Valid(2)), 0);
  EXPECT_EQ(slot(Valid(1), PrivateBlock{}), 0);
  EXPECT_EQ(slot(PrivateBlock{}, Valid(1)), 1);
  EXPECT_EQ(slot(PrivateBlock{}, PrivateBlock{}), -1);
}

}  // namespace
}  // namespace mirdax
