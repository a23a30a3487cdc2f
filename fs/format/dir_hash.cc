// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/dir_hash.h"

#include <bit>
#include <cstring>

namespace mirdax {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) noexcept {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

uint64_t Load64(const void* from) noexcept {
  uint64_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

uint64_t SipHash24(const HashSeed& seed, std::span<const std::byte> bytes) noexcept {
  const uint64_t k0 = Load64(seed.data());
  const uint64_t k1 = Load64(seed.data() + 8);
  SipState state{k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU, k0 ^ 0x6c7967656e657261U,
                 k1 ^ 0x7465646279746573U};
  uint64_t last = static_cast<uint64_t>(bytes.size()) << 56;  // the length modulo 256, on top
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) state.Absorb(Load64(bytes.data()));
  for (size_t i = 0; i < bytes.size(); ++i) last |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  state.Absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

DirKey DirHash(const HashSeed& seed, std::string_view name) noexcept {
  static_assert(kDirCollisions == kDirKeyMin);
  const uint64_t hash = SipHash24(seed, std::as_bytes(std::span(name.data(), name.size())));
  const DirKey key = hash & kDirKeyMax & ~(kDirCollisions - 1);
  return key < kDirKeyMin ? kDirKeyMin : key;
}

}  // namespace mirdax
