// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/crc32c.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace mirdax {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Crc32c, AgreesWithTheVectorsOfRfc3720) {
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(Crc32c(bytes), 0x8a9136aaU);
  bytes.fill(std::byte{0xff});
  EXPECT_EQ(Crc32c(bytes), 0x62a8ab43U);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(Crc32c(bytes), 0x46dd794eU);
  EXPECT_EQ(Crc32c(Bytes("123456789")), 0xe3069283U);
}

TEST(Crc32c, OfNothingIsZero) { EXPECT_EQ(Crc32c({}), 0U); }

TEST(Crc32c, GoesOnWhereItStopped) {
  const std::string_view text = "the quick brown fox";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(Crc32c(Bytes(text.substr(cut)), Crc32c(Bytes(text.substr(0, cut)))),
              Crc32c(Bytes(text)));
}

}  // namespace
}  // namespace mirdax
