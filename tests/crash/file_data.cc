// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/file_data.h"

#include <algorithm>

#include "fs/format/layout.h"

namespace mirdax::crash {
namespace {

constexpr uint64_t kWordsPerBlock = kBlockSize / FileData::kWord;
constexpr uint64_t BlocksUpTo(uint64_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }

}  // namespace

void FileData::Reserve(uint64_t blocks) {
  if (stored_.size() >= blocks) return;
  stored_.resize(blocks, false);
  births_.resize(blocks * kWordsPerBlock, 0);
}

void FileData::Renew(uint64_t first_word, uint64_t end_word, uint32_t index) {
  std::fill(births_.begin() + static_cast<ptrdiff_t>(first_word),
            births_.begin() + static_cast<ptrdiff_t>(end_word), index);
}

void FileData::Drop(uint64_t block, uint32_t index) {
  if (!stored_[block]) return;
  stored_[block] = false;
  Renew(block * kWordsPerBlock, (block + 1) * kWordsPerBlock, index);
}

void FileData::Write(uint64_t offset, std::string_view bytes, uint32_t index) {
  if (bytes.empty()) return;
  const uint64_t end = offset + bytes.size();
  Reserve(BlocksUpTo(end));
  for (uint64_t block = offset / kBlockSize; block < BlocksUpTo(end); ++block) {
    if (stored_[block]) continue;
    stored_[block] = true;
    Renew(block * kWordsPerBlock, (block + 1) * kWordsPerBlock, index);
  }
  if (bytes_.size() < end) bytes_.resize(end, '\0');
  bytes_.replace(offset, bytes.size(), bytes);
}

void FileData::Truncate(uint64_t size, uint32_t index) {
  resized_ = index;
  if (size < bytes_.size()) {
    for (uint64_t block = BlocksUpTo(size); block < stored_.size(); ++block) Drop(block, index);
    // The block that is cut gets a fresh copy with a zero tail: the old size keeps the old tail.
    if (size % kBlockSize != 0 && stored_[size / kBlockSize]) {
      Renew((size + kWord - 1) / kWord, BlocksUpTo(size) * kWordsPerBlock, index);
    }
  }
  bytes_.resize(size, '\0');
}

void FileData::Grow(uint64_t size) {
  if (size > bytes_.size()) bytes_.resize(size, '\0');
}

void FileData::Punch(uint64_t begin, uint64_t end, uint32_t index) {
  const uint64_t first = BlocksUpTo(begin);
  const uint64_t last = std::min<uint64_t>(end / kBlockSize, stored_.size());
  for (uint64_t block = first; block < last; ++block) Drop(block, index);
  for (uint64_t at = begin; at < std::min<uint64_t>(end, bytes_.size()); ++at) bytes_[at] = '\0';
}

void FileData::Settle() {
  std::ranges::fill(births_, 0);
  resized_ = 0;
}

}  // namespace mirdax::crash
