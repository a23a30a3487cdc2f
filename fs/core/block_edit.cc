// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/block_edit.h"

#include <algorithm>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax {
namespace {

bool LineDiffers(const std::byte* a, const std::byte* b, uint64_t line) noexcept {
  return std::memcmp(a + line * kLineSize, b + line * kLineSize, kLineSize) != 0;
}

}  // namespace

BlockEdit::~BlockEdit() {
  if (applied_) return;
  for (const Entry& entry : entries_)
    if (!entry.view) allocator_.Unreserve({entry.block, 1});
}

Result<std::span<const std::byte>> BlockEdit::Read(BlockNo block) {
  for (const Entry& entry : entries_) {
    if (entry.block != block) continue;
    if (entry.image) return std::span<const std::byte>(*entry.image);
    return entry.view.bytes();
  }
  MIRDAX_ASSIGN(BlockView view, tx_.reader().Read(block, BlockKind::kNode));
  const auto bytes = view.bytes();
  entries_.push_back({block, std::move(view), nullptr});
  return bytes;
}

std::span<std::byte, kBlockSize> BlockEdit::Edit(BlockNo block) {
  Entry& entry = Find(block);
  if (!entry.image) {
    entry.image = std::make_unique<Image>();
    std::memcpy(entry.image->data(), entry.view.data(), kBlockSize);
  }
  return *entry.image;
}

Result<BlockNo> BlockEdit::Create(BlockType type, uint16_t level, BlockNo near) {
  MIRDAX_ASSIGN(const BlockRun run, allocator_.Reserve(1, near, SpaceUse::kMetadata));
  Entry entry{run.start, {}, std::make_unique<Image>()};
  const BlockHeader header{kBlockMagic, 0, owner_, run.start, type, level, 0, 0};
  std::memcpy(entry.image->data(), &header, sizeof(header));
  entries_.push_back(std::move(entry));
  ++block_delta_;
  return run.start;
}

void BlockEdit::Discard(BlockNo block) {
  const Entry& entry = Find(block);
  if (entry.view) {
    discarded_.push_back(block);
  } else {
    allocator_.Unreserve({block, 1});
  }
  std::erase_if(entries_, [block](const Entry& e) { return e.block == block; });
  --block_delta_;
}

void BlockEdit::FreeData(BlockRun run) {
  if (!freed_.empty() && freed_.back().start + freed_.back().length == run.start) {
    freed_.back().length += run.length;
  } else {
    freed_.push_back(run);
  }
}

Status BlockEdit::Apply() {
  applied_ = true;
  auto status = ApplyAll();
  if (!status) tx_.Abort(status.error());
  return status;
}

BlockEdit::Entry& BlockEdit::Find(BlockNo block) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& e) { return e.block == block; });
  MIRDAX_CHECK(at != entries_.end());
  return *at;
}

Status BlockEdit::ApplyAll() {
  for (const BlockRun& run : freed_) MIRDAX_TRY(allocator_.Free(tx_, run));
  for (const BlockNo block : discarded_) {
    MIRDAX_TRY(allocator_.Free(tx_, {block, 1}));
    tx_.Forget(block);
  }
  for (const Entry& entry : entries_) {
    if (entry.view) {
      if (entry.image) MIRDAX_TRY(StoreChanges(entry));
    } else {
      MIRDAX_TRY(allocator_.Use(tx_, {entry.block, 1}));
      std::memcpy(tx_.Create(entry.block, BlockKind::kNode), entry.image->data(), kBlockSize);
    }
  }
  return {};
}

Status BlockEdit::StoreChanges(const Entry& entry) {
  const std::byte* from = entry.view.data();
  const std::byte* to = entry.image->data();
  for (uint64_t line = 0; line < kLinesPerBlock;) {
    if (!LineDiffers(from, to, line)) {
      ++line;
      continue;
    }
    const uint64_t first = line;
    while (line < kLinesPerBlock && LineDiffers(from, to, line)) ++line;
    const uint64_t offset = first * kLineSize;
    const uint64_t length = (line - first) * kLineSize;
    MIRDAX_ASSIGN(std::byte * bytes, tx_.Modify(entry.block, BlockKind::kNode, offset, length));
    std::memcpy(bytes + offset, to + offset, length);
  }
  return {};
}

}  // namespace mirdax
