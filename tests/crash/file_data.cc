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
  if (blocks_.size() < blocks) blocks_.resize(blocks);
  const uint64_t words = blocks * kWordsPerBlock;
  if (births_.size() < words) births_.resize(words, 0);
}

void FileData::Renew(uint64_t first_word, uint64_t end_word, uint32_t index) {
  std::fill(births_.begin() + static_cast<ptrdiff_t>(first_word),
            births_.begin() + static_cast<ptrdiff_t>(end_word), index);
}

void FileData::Drop(uint64_t block, uint32_t index) {
  const bool stored = blocks_[block].stored;
  blocks_[block] = {};
  if (stored) Renew(block * kWordsPerBlock, (block + 1) * kWordsPerBlock, index);
}

void FileData::Mask(uint64_t block, bool masked, uint32_t index) {
  if (!blocks_[block].stored || blocks_[block].masked == masked) return;
  blocks_[block].masked = masked;
  blocks_[block].since = index;
}

void FileData::Clear(uint64_t begin, uint64_t end) {
  end = std::min<uint64_t>(end, bytes_.size());
  if (begin < end) bytes_.replace(begin, end - begin, end - begin, '\0');
}

FileData::Block FileData::BlockOf(uint64_t word) const { return At(word / kWordsPerBlock); }

BlockState FileData::StateOf(uint64_t block) const {
  const Block is = At(block);
  if (!is.allocated) return BlockState::kHole;
  return is.stored && !is.masked ? BlockState::kWritten : BlockState::kUnwritten;
}

void FileData::MayKeepBehindEnd(const FileData& before) {
  kept_.clear();
  for (uint64_t block = 0; block < before.blocks(); ++block) kept_.push_back(before.StateOf(block));
}

bool FileData::MayBe(uint64_t block, BlockState state) const {
  const bool behind = block >= BlocksUpTo(size());
  if (behind && block < kept_.size() && kept_[block] == state) return true;
  if (At(block).maybe && state == BlockState::kUnwritten) return true;
  return StateOf(block) == state;
}

bool FileData::MayShow(const FileData& other, uint64_t word) const {
  const Block mine = BlockOf(word);
  const Block its = other.BlockOf(word);
  return Birth(word) == other.Birth(word) && mine.masked == its.masked && its.since >= mine.since;
}

void FileData::Write(uint64_t offset, std::string_view bytes, uint32_t index) {
  if (bytes.empty()) return;
  const uint64_t end = offset + bytes.size();
  Reserve(BlocksUpTo(end));
  for (uint64_t block = offset / kBlockSize; block < BlocksUpTo(end); ++block) {
    Mask(block, false, index);
    if (blocks_[block].stored) continue;
    blocks_[block] = {.allocated = true, .stored = true};
    Renew(block * kWordsPerBlock, (block + 1) * kWordsPerBlock, index);
  }
  if (bytes_.size() < end) bytes_.resize(end, '\0');
  bytes_.replace(offset, bytes.size(), bytes);
}

void FileData::Truncate(uint64_t size, uint32_t index) {
  resized_ = index;
  if (size < bytes_.size()) {
    for (uint64_t block = BlocksUpTo(size); block < blocks_.size(); ++block) Drop(block, index);
    // The block that is cut gets a fresh copy with a zero tail: the old size keeps the old tail.
    const uint64_t cut = size / kBlockSize;
    if (size % kBlockSize != 0 && cut < blocks_.size() && blocks_[cut].stored &&
        !blocks_[cut].masked) {
      Renew((size + kWord - 1) / kWord, BlocksUpTo(size) * kWordsPerBlock, index);
    }
  }
  bytes_.resize(size, '\0');
}

void FileData::Grow(uint64_t size) {
  if (size > bytes_.size()) bytes_.resize(size, '\0');
}

void FileData::Allocate(uint64_t begin, uint64_t end, bool maybe) {
  if (blocks_.size() < BlocksUpTo(end)) blocks_.resize(BlocksUpTo(end));
  for (uint64_t block = begin / kBlockSize; block < BlocksUpTo(end); ++block) {
    if (blocks_[block].allocated) continue;
    blocks_[block] = {.allocated = !maybe, .maybe = maybe};
  }
}

void FileData::Punch(uint64_t begin, uint64_t end, uint32_t index) {
  const uint64_t last = std::min<uint64_t>(end / kBlockSize, blocks_.size());
  for (uint64_t block = BlocksUpTo(begin); block < last; ++block) Drop(block, index);
  Clear(begin, end);
}

void FileData::Zero(uint64_t begin, uint64_t end, uint32_t index) {
  Allocate(begin, end);
  const uint64_t last = std::min<uint64_t>(end / kBlockSize, blocks_.size());
  for (uint64_t block = BlocksUpTo(begin); block < last; ++block) Mask(block, true, index);
  Clear(begin, end);
}

void FileData::Settle() {
  std::ranges::fill(births_, 0);
  for (Block& block : blocks_) block.since = 0;
  resized_ = 0;
}

}  // namespace mirdax::crash
