// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/size_text.h"

#include <gtest/gtest.h>

namespace mirdax {
namespace {

TEST(Size, UnitsArePowersOf1024) {
  EXPECT_EQ(*ParseSize("4096"), 4096U);
  EXPECT_EQ(*ParseSize("0"), 0U);
  EXPECT_EQ(*ParseSize("64K"), 65536U);
  EXPECT_EQ(*ParseSize("64k"), 65536U);
  EXPECT_EQ(*ParseSize("3MiB"), 3U << 20);
  EXPECT_EQ(*ParseSize("2G"), uint64_t{2} << 30);
  EXPECT_EQ(*ParseSize("1T"), uint64_t{1} << 40);
  EXPECT_EQ(*ParseSize("1P"), uint64_t{1} << 50);
}

TEST(Size, AnythingElseIsRefused) {
  for (const char* text : {"", "K", "-1", "+1", " 1", "1 ", "1.5G", "1X", "1KB", "1GG", "0x10",
                           "18446744073709551616", "99999999999P", "16384P", "1_"})
    EXPECT_FALSE(ParseSize(text)) << text;
}

TEST(Size, IsShownInTheLargestUnitAndInBytes) {
  EXPECT_EQ(SizeText(12), "12 bytes");
  EXPECT_EQ(SizeText(1024), "1 KiB (1024 bytes)");
  EXPECT_EQ(SizeText(1610612736), "1.5 GiB (1610612736 bytes)");
}

}  // namespace
}  // namespace mirdax
