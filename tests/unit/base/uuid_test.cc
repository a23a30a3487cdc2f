// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/uuid.h"

#include <gtest/gtest.h>

namespace mirdax {
namespace {

TEST(Uuid, GeneratedOnesAreRandomVersion4) {
  SeededRandom random(1);
  const Uuid a = Uuid::Generate(random);
  const Uuid b = Uuid::Generate(random);
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a.bytes[6] >> 4, 4);
  EXPECT_EQ(a.bytes[8] >> 6, 2);
  EXPECT_FALSE(a.IsNil());
  EXPECT_TRUE(Uuid{}.IsNil());
}

TEST(Uuid, TextAndBytesAreTheSameThing) {
  const auto uuid = Uuid::Parse("00112233-4455-6677-8899-AABBCCDDEEFF");
  ASSERT_TRUE(uuid);
  EXPECT_EQ(uuid->bytes[0], 0x00);
  EXPECT_EQ(uuid->bytes[15], 0xff);
  EXPECT_EQ(uuid->ToString(), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(Uuid, OtherTextsAreRefused) {
  for (const char* text : {"", "x", "00112233-4455-6677-8899-aabbccddeef", "00112233445566778899",
                           "00112233-4455-6677-8899-aabbccddeegg"})
    EXPECT_FALSE(Uuid::Parse(text)) << text;
}

}  // namespace
}  // namespace mirdax
