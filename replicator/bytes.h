// SPDX-License-Identifier: BSD-2-Clause
// Building and taking apart message payloads: little-endian fields one after another, no padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mirdax {

class ByteWriter {
 public:
  template <typename T>
  void Put(const T& value) {
    static_assert(std::has_unique_object_representations_v<T>);
    PutBytes(std::as_bytes(std::span(&value, 1)));
  }
  void PutBytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  // At most 65535 bytes are kept.
  void PutString(std::string_view text) {
    text = text.substr(0, UINT16_MAX);
    Put(static_cast<uint16_t>(text.size()));
    PutBytes(std::as_bytes(std::span(text)));
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Reads past the end yield zeros and make Done() false: the caller parses everything, then asks
// once (R9).
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T Get() {
    static_assert(std::has_unique_object_representations_v<T>);
    T value{};
    const std::span<const std::byte> bytes = GetBytes(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  // Empty when fewer are left.
  std::span<const std::byte> GetBytes(size_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const std::span<const std::byte> bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  std::string GetString() {
    const std::span<const std::byte> bytes = GetBytes(Get<uint16_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // Everything was there, and nothing is left over.
  bool Done() const { return !failed_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

}  // namespace mirdax
