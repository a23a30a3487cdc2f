// SPDX-License-Identifier: BSD-2-Clause
// A set of byte positions of a file, as sorted ranges that neither touch nor overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace mirdax {

struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;  // one past the last
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// Threads: none of its own; guarded by the owner's lock.
class RangeSet {
 public:
  void Add(uint64_t begin, uint64_t end);
  void Remove(uint64_t begin, uint64_t end);
  bool empty() const noexcept { return ranges_.empty(); }
  uint64_t bytes() const noexcept { return bytes_; }
  size_t count() const noexcept { return ranges_.size(); }
  std::vector<ByteRange> ranges() const;
  void Clear();

 private:
  std::map<uint64_t, uint64_t> ranges_;  // begin -> end
  uint64_t bytes_ = 0;
};

}  // namespace mirdax
