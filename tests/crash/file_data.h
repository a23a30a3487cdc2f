// SPDX-License-Identifier: BSD-2-Clause
// The bytes of one file of the model, and which of them share storage with an earlier version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mirdax::crash {

// What users see of a block by st_blocks and SEEK_DATA.
enum class BlockState : uint8_t {
  kHole,
  kUnwritten,  // has storage, reads as zeros
  kWritten,
};

// What a torn overwrite may mix is decided by storage: stores in place change words that a crash
// may find old or new, one by one; blocks that are new to the file appear whole, with a commit.
// So each 8 aligned bytes know the operation that gave them the storage they have (their birth):
// versions in which a word has the same birth share its storage. A zeroed range keeps its storage
// and is *masked*: it reads as zeros, and what lies there is not shown, until the next write to the
// block stores all of it.
//
// A block (of kBlockSize) to which an allocation that failed may have given storage all the same is
// `maybe` unwritten.
//
// Units: bytes; `index` is the number of the operation that does it, 1, 2, 3...
class FileData {
 public:
  static constexpr uint64_t kWord = 8;  // bytes: what a power cut keeps or loses

  const std::string& bytes() const noexcept { return bytes_; }
  uint64_t size() const noexcept { return bytes_.size(); }
  // Of the word that begins at 8 * word; 0 for what was never stored to.
  uint32_t Birth(uint64_t word) const noexcept { return word < births_.size() ? births_[word] : 0; }
  // Whether a crash may show the word that `other` has where the blocks are mapped as in this
  // version: its storage is the same, and it had been stored there.
  bool MayShow(const FileData& other, uint64_t word) const;
  // Whether a masked block was written as a whole since it was what it is in `earlier`.
  bool RefilledSince(const FileData& earlier, uint64_t word) const {
    return BlockOf(word).since > earlier.BlockOf(word).since;
  }
  // Of blocks: none beyond has storage.
  uint64_t blocks() const noexcept { return blocks_.size(); }
  BlockState StateOf(uint64_t block) const;
  // Whether the block may be `state` where this version is all there is.
  bool MayBe(uint64_t block, BlockState state) const;
  // The last operation that set the size itself: a change of attributes, so whole and in order.
  uint32_t resized() const noexcept { return resized_; }

  void Write(uint64_t offset, std::string_view bytes, uint32_t index);
  void Truncate(uint64_t size, uint32_t index);
  void Grow(uint64_t size);  // no change of what is stored
  // Gives storage to every hole that the range touches. `maybe`: it failed on the way.
  void Allocate(uint64_t begin, uint64_t end, bool maybe = false);
  // A truncation to this size that was short of memory frees later what `before` had behind it.
  void MayKeepBehindEnd(const FileData& before);
  void Punch(uint64_t begin, uint64_t end, uint32_t index);
  void Zero(uint64_t begin, uint64_t end, uint32_t index);

  // What there is now was there from the start: index 0.
  void Settle();

 private:
  struct Block {
    bool allocated = false;
    bool maybe = false;   // allocated, or still a hole
    bool stored = false;  // written since it was allocated
    bool masked = false;
    uint32_t since = 0;  // the operation that masked or unmasked it last
  };

  Block BlockOf(uint64_t word) const;
  Block At(uint64_t block) const { return block < blocks_.size() ? blocks_[block] : Block{}; }
  void Reserve(uint64_t blocks);
  void Renew(uint64_t first_word, uint64_t end_word, uint32_t index);
  void Drop(uint64_t block, uint32_t index);
  void Mask(uint64_t block, bool masked, uint32_t index);
  void Clear(uint64_t begin, uint64_t end);

  std::string bytes_;
  std::vector<uint32_t> births_;  // by word; covers all blocks that were stored to
  std::vector<Block> blocks_;
  std::vector<BlockState> kept_;  // by block: what may be there behind the end
  uint32_t resized_ = 0;
};

}  // namespace mirdax::crash
