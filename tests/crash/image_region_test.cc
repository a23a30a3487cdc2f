// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/image_region.h"

#include <gtest/gtest.h>

#include <random>

namespace mirdax::crash {
namespace {

std::unique_ptr<ImageRegion> MakeRegion() {
  std::vector<std::byte> image(uint64_t{64} * 1024);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i * 7 / 5);
  auto region = ImageRegion::Create(image);
  MIRDAX_CHECK(region.has_value());
  return std::move(*region);
}

void StoreSomething(ImageRegion& region, std::mt19937_64& random) {
  const uint64_t offset = random() % (region.size() - 256);
  const std::vector<std::byte> bytes(1 + random() % 200, static_cast<std::byte>(random()));
  switch (random() % 4) {
    case 0:
      return region.Write(offset, bytes);
    case 1:
      return region.Stream(offset, bytes);
    case 2:
      return region.StreamZeros(offset, bytes.size());
    default:
      return region.Store64(offset / 8 * 8, random());
  }
}

TEST(ImageRegion, UndoBringsBackEveryByteOfEveryLevel) {
  const auto region = MakeRegion();
  std::mt19937_64 random(1);
  std::vector<std::vector<std::byte>> images;
  std::vector<uint64_t> hashes;
  for (int level = 0; level < 5; ++level) {
    images.emplace_back(region->memory().begin(), region->memory().end());
    hashes.push_back(region->Hash());
    region->Begin();
    for (int i = 0; i < 50; ++i) StoreSomething(*region, random);
  }
  for (int level = 4; level >= 0; --level) {
    region->Undo();
    EXPECT_TRUE(std::ranges::equal(images.back(), region->memory()));
    EXPECT_EQ(region->Hash(), hashes.back());
    images.pop_back();
    hashes.pop_back();
  }
}

TEST(ImageRegion, TheHashDependsOnTheContentsAlone) {
  const auto region = MakeRegion();
  std::mt19937_64 random(2);
  region->Begin();
  for (int i = 0; i < 50; ++i) StoreSomething(*region, random);
  region->Begin();
  for (int i = 0; i < 50; ++i) StoreSomething(*region, random);
  const auto fresh = ImageRegion::Create(region->memory());
  ASSERT_TRUE(fresh);
  EXPECT_EQ(region->Hash(), (*fresh)->Hash());
  EXPECT_EQ(region->HashWithoutPrivate(), (*fresh)->HashWithoutPrivate());
}

TEST(ImageRegion, ASingleChangedBitChangesTheHash) {
  const auto region = MakeRegion();
  const uint64_t before = region->Hash();
  for (uint64_t offset = 0; offset < region->size(); offset += 1021) {
    region->Begin();
    const std::byte flipped = *region->At(offset, 1) ^ std::byte{0x10};
    region->Write(offset, std::span(&flipped, 1));
    EXPECT_NE(region->Hash(), before);
    region->Undo();
  }
}

TEST(ImageRegion, TheHashWithoutPrivateBlocksIgnoresJustThose) {
  const auto region = MakeRegion();
  region->Begin();
  const uint64_t before = region->HashWithoutPrivate();
  region->Store64(kPrivateBlockOffset + 8, 77);
  EXPECT_EQ(region->HashWithoutPrivate(), before);
  region->Store64(kPrivateBlockOffset + 2 * kBlockSize, 77);
  EXPECT_NE(region->HashWithoutPrivate(), before);
}

}  // namespace
}  // namespace mirdax::crash
