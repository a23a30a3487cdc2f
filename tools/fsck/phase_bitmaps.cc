// SPDX-License-Identifier: BSD-2-Clause
// The block bitmap against the owners that the phases before found; bits that stand for nothing.
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

// Collects neighbouring blocks into one finding.
class Runs {
 public:
  Runs(CheckContext& context, FindingCode code, std::string_view what)
      : context_(context), code_(code), what_(what) {}
  ~Runs() { Flush(); }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;

  void Add(BlockNo block) {
    if (length_ != 0 && block == start_ + length_) {
      ++length_;
      return;
    }
    Flush();
    start_ = block;
    length_ = 1;
  }

 private:
  void Flush() {
    if (length_ == 0) return;
    context_.Add(code_,
                 length_ == 1 ? fmt::format("block {} {}", start_, what_)
                              : fmt::format("blocks {}..{} ({}) {}", start_, start_ + length_ - 1,
                                            length_, what_),
                 0, start_);
    length_ = 0;
  }

  CheckContext& context_;
  const FindingCode code_;
  const std::string_view what_;
  BlockNo start_ = 0;
  uint64_t length_ = 0;
};

void CheckBlockBitmap(CheckContext& context) {
  const Geometry& geometry = context.geometry;
  Runs leaked(context, FindingCode::kBlockLeaked, "in use in the bitmap, but nobody owns it");
  Runs unmarked(context, FindingCode::kBlockNotMarked, "owned, but free in the bitmap");
  const uint64_t words = (geometry.data_blocks + 63) / 64;
  for (uint64_t i = 0; i < words; ++i) {
    if (i % 4096 == 0) context.Progress("bitmaps", i, words);
    const uint64_t marked = context.BitmapWord(geometry.block_bitmap, i);
    const uint64_t left = geometry.data_blocks - i * 64;
    const uint64_t mask = left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
    context.report.blocks_in_use += static_cast<unsigned>(std::popcount(marked & mask));
    for (uint64_t differ = (marked ^ context.owners->word(i)) & mask; differ != 0;
         differ &= differ - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(differ));
      (((marked >> bit) & 1) != 0 ? leaked : unmarked)
          .Add(geometry.first_data_block() + i * 64 + bit);
    }
  }
}

// Bits behind the last one that stands for something are 1, so that nobody can ever hand them out.
void CheckTail(CheckContext& context, const PoolRange& bitmap, uint64_t bits,
               std::string_view name) {
  uint64_t clear = 0;
  for (uint64_t i = bits / 64; i < bitmap.length / sizeof(uint64_t); ++i) {
    const uint64_t first = i * 64;
    const uint64_t below = first >= bits ? 0 : (uint64_t{1} << (bits - first)) - 1;
    clear += static_cast<unsigned>(std::popcount(~(context.BitmapWord(bitmap, i) | below)));
  }
  if (clear != 0) {
    context.Add(FindingCode::kBitmapBad,
                fmt::format("{} bits behind the end of the {} bitmap are 0", clear, name));
  }
}

}  // namespace

bool CheckBitmaps(CheckContext& context) {
  const Geometry& geometry = context.geometry;
  CheckBlockBitmap(context);
  CheckTail(context, geometry.block_bitmap, geometry.data_blocks, "block");
  CheckTail(context, geometry.inode_bitmap, geometry.inode_count, "inode");
  if (!context.Bit(geometry.inode_bitmap, 0)) {
    context.Add(FindingCode::kBitmapBad, "bit 0 of the inode bitmap is 0");
  }
  return true;
}

}  // namespace mirdax::fsck
