// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/posix_acl.h"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>

namespace mirdax {
namespace {

struct Entry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

std::string Value(std::initializer_list<Entry> entries) {
  const uint32_t version = 2;
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  for (const Entry& entry : entries) {
    value.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  }
  return value;
}

constexpr uint32_t kNoId = 0xffffffff;
const std::string kMinimal = Value({{1, 6, kNoId}, {4, 4, kNoId}, {0x20, 0, kNoId}});
const std::string kNamed =
    Value({{1, 7, kNoId}, {2, 7, 1000}, {4, 5, kNoId}, {0x10, 6, kNoId}, {0x20, 4, kNoId}});

TEST(PosixAcl, WhatWasParsedIsWhatIsSerialized) {
  EXPECT_EQ(PosixAcl::Parse(kNamed)->Serialize(), kNamed);
}

TEST(PosixAcl, AListOfBaseEntriesIsJustAMode) {
  EXPECT_TRUE(PosixAcl::Parse(kMinimal)->EquivalentToMode());
  EXPECT_EQ(PosixAcl::Parse(kMinimal)->Mode(), 0640U);
  EXPECT_FALSE(PosixAcl::Parse(kNamed)->EquivalentToMode());
}

TEST(PosixAcl, TheGroupBitsShowTheMask) { EXPECT_EQ(PosixAcl::Parse(kNamed)->Mode(), 0764U); }

TEST(PosixAcl, ChmodChangesTheMaskAndNotTheGroup) {
  PosixAcl acl = *PosixAcl::Parse(kNamed);
  acl.SetMode(0610);
  EXPECT_EQ(
      acl.Serialize(),
      Value({{1, 6, kNoId}, {2, 7, 1000}, {4, 5, kNoId}, {0x10, 1, kNoId}, {0x20, 0, kNoId}}));
}

TEST(PosixAcl, ANewFileGetsNoMoreThanItAskedFor) {
  PosixAcl acl = *PosixAcl::Parse(kNamed);
  EXPECT_EQ(acl.Inherit(0100644), 0100644U);
  EXPECT_EQ(acl.Mode(), 0644U);
  PosixAcl other = *PosixAcl::Parse(kMinimal);
  EXPECT_EQ(other.Inherit(0040777), 0040640U);
}

TEST(PosixAcl, RefusesWhatIsNoList) {
  EXPECT_FALSE(PosixAcl::Parse(""));
  EXPECT_FALSE(PosixAcl::Parse("abc"));
  EXPECT_FALSE(PosixAcl::Parse(kMinimal + "x"));
  EXPECT_FALSE(PosixAcl::Parse(Value({})));
  // No mask beside a named entry; no owner; out of order; twice; unknown tag; permission bits.
  EXPECT_FALSE(PosixAcl::Parse(Value({{1, 7, kNoId}, {2, 7, 1}, {4, 5, kNoId}, {0x20, 4, kNoId}})));
  EXPECT_FALSE(PosixAcl::Parse(Value({{4, 4, kNoId}, {0x20, 0, kNoId}})));
  EXPECT_FALSE(PosixAcl::Parse(Value({{4, 4, kNoId}, {1, 6, kNoId}, {0x20, 0, kNoId}})));
  EXPECT_FALSE(
      PosixAcl::Parse(Value({{1, 6, kNoId}, {1, 6, kNoId}, {4, 4, kNoId}, {0x20, 0, kNoId}})));
  EXPECT_FALSE(
      PosixAcl::Parse(Value({{1, 6, kNoId}, {4, 4, kNoId}, {0x20, 0, kNoId}, {0x40, 0, kNoId}})));
  EXPECT_FALSE(PosixAcl::Parse(Value({{1, 9, kNoId}, {4, 4, kNoId}, {0x20, 0, kNoId}})));
}

}  // namespace
}  // namespace mirdax
