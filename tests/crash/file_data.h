// SPDX-License-Identifier: BSD-2-Clause
// The bytes of one file of the model, and which of them share storage with an earlier version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mirdax::crash {

// What a torn overwrite may mix is decided by storage: stores in place change words that a crash
// may find old or new, one by one; blocks that are new to the file appear whole, with a commit.
// So each 8 aligned bytes know the operation that gave them the storage they have (their birth):
// versions in which a word has the same birth share its storage.
//
// Units: bytes; `index` is the number of the operation that does it, 1, 2, 3...
class FileData {
 public:
  static constexpr uint64_t kWord = 8;  // bytes: what a power cut keeps or loses

  const std::string& bytes() const noexcept { return bytes_; }
  uint64_t size() const noexcept { return bytes_.size(); }
  // Of the word that begins at 8 * word; 0 for what was never stored to.
  uint32_t Birth(uint64_t word) const noexcept { return word < births_.size() ? births_[word] : 0; }
  // The last operation that set the size itself: a change of attributes, so whole and in order.
  uint32_t resized() const noexcept { return resized_; }

  void Write(uint64_t offset, std::string_view bytes, uint32_t index);
  void Truncate(uint64_t size, uint32_t index);
  void Grow(uint64_t size);  // fallocate: no change of what is stored
  void Punch(uint64_t begin, uint64_t end, uint32_t index);

  // What there is now was there from the start: index 0.
  void Settle();

 private:
  void Reserve(uint64_t blocks);
  void Renew(uint64_t first_word, uint64_t end_word, uint32_t index);
  void Drop(uint64_t block, uint32_t index);

  std::string bytes_;
  std::vector<uint32_t> births_;  // by word; covers whole blocks
  std::vector<bool> stored_;      // by block: neither hole nor unwritten
  uint32_t resized_ = 0;
};

}  // namespace mirdax::crash
