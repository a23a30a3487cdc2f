// SPDX-License-Identifier: BSD-2-Clause
// The bytes that a write with a tag stores: never zero, and told apart by tag and by place, so that
// a byte found anywhere says who wrote it and where it belongs.
#pragma once

#include <cstdint>
#include <string>

namespace mirdax::crash {

// Of [offset, offset + length) of a file, or of the value of an attribute.
inline std::string PatternBytes(uint64_t tag, uint64_t offset, uint64_t length) {
  std::string bytes(length, '\0');
  uint64_t word = 0;
  for (uint64_t i = 0; i < length; ++i) {
    const uint64_t at = offset + i;
    if (i == 0 || at % 8 == 0) {
      word = (tag * 0x9e3779b97f4a7c15U) ^ ((at / 8 + 1) * 0xbf58476d1ce4e5b9U);
      word = (word ^ (word >> 31)) * 0x94d049bb133111ebU;
      word = (word ^ (word >> 29)) | 0x0101010101010101U;  // no byte is zero
    }
    bytes[i] = static_cast<char>(word >> (at % 8 * 8));
  }
  return bytes;
}

}  // namespace mirdax::crash
