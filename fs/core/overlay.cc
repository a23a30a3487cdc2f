// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/overlay.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "fs/base/mutant.h"
#include "fs/format/checksums.h"

namespace mirdax {

Overlay::Shard& Overlay::ShardOf(BlockNo block) noexcept {
  static_assert(std::has_single_bit(kShards));
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15U;  // spreads neighbours
  return shards_[(block * kGolden) >> (64 - std::countr_zero(kShards))];
}

Result<const std::byte*> Overlay::ReadHome(BlockNo block, BlockKind kind) {
  // Block numbers of nodes come from media (R9); those of other kinds are computed.
  const bool inside = kind == BlockKind::kNode
                          ? geometry_.IsDataRange(block, 1)
                          : block < geometry_.pool_size / kBlockSize &&
                                geometry_.IsHomeRange(block * kBlockSize, kBlockSize);
  if (!inside) {
    return Fail(ErrorCode::kCorrupt, "block {}: no metadata block can be there", block);
  }
  MIRDAX_TRY(region_.CheckGood(block * kBlockSize, kBlockSize));
  const std::byte* home = region_.At(block * kBlockSize, kBlockSize);
  if (kind != BlockKind::kNode) return home;
  const auto& header = region_.As<BlockHeader>(block * kBlockSize);
  if (header.magic != kBlockMagic || header.self != block) {
    return Fail(ErrorCode::kCorrupt, "block {}: not a metadata block (magic {:#x}, self {})", block,
                header.magic, header.self);
  }
  if (!IsSealedBlock(std::span<const std::byte, kBlockSize>(home, kBlockSize))) {
    return Fail(ErrorCode::kCorrupt, "block {}: wrong checksum", block);
  }
  return home;
}

Result<BlockView> Overlay::Read(BlockNo block, BlockKind kind) {
  {
    Shard& shard = ShardOf(block);
    MutexLock lock(shard.mutex);
    if (const auto it = shard.blocks.find(block); it != shard.blocks.end()) {
      return BlockView(it->second->bytes.data(), it->second);
    }
  }
  // The caller's lock keeps others from changing the block, so no copy appears meanwhile that
  // differs in what the caller may look at.
  MIRDAX_ASSIGN(const std::byte* home, ReadHome(block, kind));
  return BlockView(home, nullptr);
}

Result<std::byte*> Overlay::Modify(BlockNo block, BlockKind kind, uint64_t offset,
                                   uint64_t length) {
  MIRDAX_CHECK(offset <= kBlockSize && length <= kBlockSize - offset);
  Shard& shard = ShardOf(block);
  MutexLock lock(shard.mutex);
  auto it = shard.blocks.find(block);
  if (it == shard.blocks.end()) {
    MIRDAX_ASSIGN(const std::byte* home, ReadHome(block, kind));
    auto buffer = std::make_shared<MetaBuffer>(block, kind);
    std::memcpy(buffer->bytes.data(), home, kBlockSize);
    it = shard.blocks.emplace(block, std::move(buffer)).first;
  }
  uint64_t lines = LineMask(offset, length);
  if (kind == BlockKind::kNode) lines |= LineMask(0, sizeof(BlockHeader));  // the checksum changes
  MarkDirty(shard, it->second, lines);
  return it->second->bytes.data();
}

std::byte* Overlay::Create(BlockNo block, BlockKind kind) {
  MIRDAX_CHECK(geometry_.IsDataRange(block, 1));
  Shard& shard = ShardOf(block);
  MutexLock lock(shard.mutex);
  auto& buffer = shard.blocks[block];
  if (buffer == nullptr) buffer = std::make_shared<MetaBuffer>(block, kind);
  buffer->bytes.fill(std::byte{0});
  MarkDirty(shard, buffer, kAllLines);
  return buffer->bytes.data();
}

void Overlay::Forget(BlockNo block) {
  Shard& shard = ShardOf(block);
  MutexLock lock(shard.mutex);
  const auto it = shard.blocks.find(block);
  if (it == shard.blocks.end()) return;
  MetaBuffer& buffer = *it->second;
  dirty_lines_.fetch_sub(static_cast<uint64_t>(std::popcount(buffer.dirty)),
                         std::memory_order_relaxed);
  buffer.dirty = 0;  // while listed, it stays; Close() drops it
}

void Overlay::MarkDirty(Shard& shard, const std::shared_ptr<MetaBuffer>& buffer, uint64_t lines) {
  const uint64_t fresh = lines & ~buffer->dirty;
  if (fresh == 0) return;
  buffer->dirty |= fresh;
  dirty_lines_.fetch_add(static_cast<uint64_t>(std::popcount(fresh)), std::memory_order_relaxed);
  if (!buffer->listed) {
    buffer->listed = true;
    shard.dirty.push_back(buffer);
  }
}

Overlay::Blocks Overlay::Listed() {
  Blocks listed;
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    listed.insert(listed.end(), shard.dirty.begin(), shard.dirty.end());
  }
  // By position: neighbours become one patch, and home is stored in order.
  std::ranges::sort(listed, {}, [](const auto& buffer) { return buffer->block; });
  return listed;
}

void Overlay::Close(Blocks& blocks, RecordBuilder& record) {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    shard.dirty.clear();
  }
  std::erase_if(blocks, [&](const std::shared_ptr<MetaBuffer>& buffer) {
    Shard& shard = ShardOf(buffer->block);
    MutexLock lock(shard.mutex);
    buffer->listed = false;
    if (buffer->dirty == 0) {  // forgotten
      if (buffer->in_flight == 0) shard.blocks.erase(buffer->block);
      return true;
    }
    ++buffer->in_flight;
    return false;
  });
  for (const auto& buffer : blocks) {
    AddTo(record, *buffer);
    buffer->dirty = 0;
  }
  dirty_lines_.store(0, std::memory_order_relaxed);
}

void Overlay::AddTo(RecordBuilder& record, const MetaBuffer& buffer) {
  const std::span<const std::byte> bytes(buffer.bytes);
  ForEachRun(buffer.dirty, [&](uint64_t first, uint64_t count) {
    const std::span<std::byte> copy =
        record.Add(buffer.block * kBlockSize + first * kLineSize,
                   bytes.subspan(first * kLineSize, count * kLineSize));
    if (first == 0 && buffer.kind == BlockKind::kNode) {
      const uint32_t crc = ChecksumOf(bytes, offsetof(BlockHeader, crc));
      std::memcpy(copy.data() + offsetof(BlockHeader, crc), &crc, sizeof(crc));
    }
  });
}

void Overlay::Release(const Blocks& blocks) {
  for (const auto& buffer : blocks) {
    Shard& shard = ShardOf(buffer->block);
    MutexLock lock(shard.mutex);
    --buffer->in_flight;
    const bool clean = !buffer->listed || Mutated(Mutant::kOverlayForgetsNewer);
    if (buffer->in_flight == 0 && clean) shard.blocks.erase(buffer->block);
  }
}

}  // namespace mirdax
