// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/subsets.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <set>

namespace mirdax::crash {
namespace {

constexpr size_t kWordSize = 8;
constexpr size_t kWords = kLineSize / kWordSize;
constexpr size_t kNoLine = ~size_t{0};

uint8_t AnyMask(std::mt19937_64& random) {
  return static_cast<uint8_t>(1 + random() % 254);  // neither none nor all
}

}  // namespace

Subsets::Subsets(std::span<const FlyingLine> lines, uint64_t seed) : lines_(lines), seed_(seed) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t newest = lines[i].contents.size() - 1;
    // The first half, the second half, and some words.
    torn_.push_back({i, newest, 0x0f});
    torn_.push_back({i, newest, 0xf0});
    torn_.push_back({i, newest, AnyMask(random)});
    for (size_t older = 0; older < newest; ++older) older_.push_back({i, older, 0xff});
  }
  const auto count = static_cast<int>(lines.size());
  for (uint32_t mask = 0; lines.size() <= kExhaustiveLines && mask >> count == 0; ++mask) {
    const int landed = std::popcount(mask);
    if (landed > 1 && landed < count - 1) others_.push_back(static_cast<uint16_t>(mask));
  }
  planned_ = 2 + singles() + 2 * torn_.size() + 2 * older_.size() + others_.size();
}

std::vector<Landing> Subsets::AllBut(size_t line) const {
  std::vector<Landing> result;
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (i != line) result.push_back({i, lines_[i].contents.size() - 1, 0xff});
  }
  return result;
}

std::vector<Landing> Subsets::Whole(uint64_t mask) const {
  std::vector<Landing> result;
  for (size_t i = 0; i < lines_.size(); ++i) {
    if ((mask >> i & 1) != 0) result.push_back({i, lines_[i].contents.size() - 1, 0xff});
  }
  return result;
}

std::vector<Landing> Subsets::Random(uint64_t number) const {
  std::mt19937_64 random(seed_ * 0x9e3779b97f4a7c15U + number);
  // Some cuts keep little, some keep nearly all.
  const uint64_t keep = 1 + random() % 7;  // of 8
  const uint64_t tear = random() % 3;      // of 8
  std::vector<Landing> result;
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (random() % 8 >= keep) continue;
    const size_t contents = random() % lines_[i].contents.size();
    const bool torn = random() % 8 < tear;
    result.push_back({i, contents, torn ? AnyMask(random) : uint8_t{0xff}});
  }
  return result;
}

std::vector<Landing> Subsets::At(uint64_t number) const {
  if (number >= planned_) return Random(number);
  if (number == 0) return {};
  if (number == 1) return AllBut(kNoLine);
  number -= 2;
  const size_t count = lines_.size();
  if (number < count) return {{number, lines_[number].contents.size() - 1, 0xff}};
  number -= count;
  if (number < count) return AllBut(number);
  number -= count;
  if (few()) {
    if (number < others_.size()) return Whole(others_[number]);
    number -= others_.size();
  }
  for (const std::vector<Landing>* each : {&torn_, &older_}) {
    if (number < each->size()) return {(*each)[number]};
    number -= each->size();
    if (number < each->size()) {
      std::vector<Landing> result = AllBut((*each)[number].line);
      result.push_back((*each)[number]);
      return result;
    }
    number -= each->size();
  }
  return Whole(others_[number]);
}

bool Subsets::Exhausts(uint64_t budget) const noexcept {
  if (lines_.size() > kExhaustiveLines) return false;
  return planned_ <= budget || (few() && 2 + singles() + others_.size() <= budget);
}

std::vector<uint64_t> Subsets::Choose(uint64_t budget) const {
  std::vector<uint64_t> result;
  const auto take_all_to = [&](uint64_t end) {
    for (uint64_t i = result.size(); i < end; ++i) result.push_back(i);
  };
  if (planned_ <= budget) {
    take_all_to(lines_.size() <= kExhaustiveLines ? planned_ : budget);
    return result;
  }
  take_all_to(2);
  std::mt19937_64 random(seed_);
  const uint64_t left = std::max<uint64_t>(budget, 2) - 2;
  if (left < singles()) {
    // One of each of `left` parts of them, all as long as each other.
    for (uint64_t i = 0; i < left; ++i) {
      const uint64_t begin = i * singles() / left;
      const uint64_t end = (i + 1) * singles() / left;
      result.push_back(2 + begin + random() % (end - begin));
    }
    return result;
  }
  take_all_to(2 + singles());
  if (Exhausts(budget)) take_all_to(2 + singles() + others_.size());
  const uint64_t first = result.size();
  std::set<uint64_t> others;
  while (result.size() + others.size() < budget) {
    // Half of them planned ones, half random ones.
    const uint64_t number = first + random() % (planned_ - first);
    others.insert(random() % 2 == 0 ? number : planned_ + number);
  }
  result.insert(result.end(), others.begin(), others.end());
  return result;
}

void Land(ImageRegion& image, std::span<const FlyingLine> lines, std::span<const Landing> landed) {
  for (const Landing& landing : landed) {
    const FlyingLine& line = lines[landing.line];
    LineBytes bytes;
    std::memcpy(bytes.data(), image.At(line.offset, kLineSize), kLineSize);
    for (size_t word = 0; word < kWords; ++word) {
      if ((landing.words >> word & 1) == 0) continue;
      std::memcpy(bytes.data() + word * kWordSize,
                  line.contents[landing.contents].data() + word * kWordSize, kWordSize);
    }
    image.Put(line.offset, bytes);
  }
}

}  // namespace mirdax::crash
