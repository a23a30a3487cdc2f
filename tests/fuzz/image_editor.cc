// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/image_editor.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "fs/format/checksums.h"

namespace mirdax::fuzz {
namespace {

using Numbers = std::array<uint64_t, kMostNumbers>;

constexpr uint64_t kWidest = sizeof(uint64_t);
constexpr uint64_t kMostPatchLines = kLinesPerBlock;
constexpr uint64_t kAreas = 10;

constexpr Argument Index(uint64_t limit) { return {Argument::kIndex, limit}; }
constexpr Argument Offset(uint64_t limit) { return {Argument::kOffset, limit}; }
constexpr Argument kWidth{Argument::kWidth};
constexpr Argument kValue{Argument::kValue};

PoolRange AreaOf(uint64_t n, const Geometry& g) {
  switch (n % kAreas) {
    case 0:
      return {kSuperblockOffset, 2 * kBlockSize};
    case 1:
      return {kPrivateBlockOffset, 2 * kBlockSize};
    case 2:
      return {kCommitLineOffset, kBlockSize};
    case 3:
      return g.out_of_sync;
    case 4:
      return g.journal;
    case 5:
      return g.block_bitmap;
    case 6:
      return g.inode_bitmap;
    case 7:
      return g.orphan_bitmap;
    case 8:
      return g.inode_table;
    default:
      return g.data;
  }
}

}  // namespace

const Grammar& ImageEditor::Steps() {
  static const Grammar steps = {
      {"superblock", {Index(3), Offset(kBlockSize), kWidth, kValue}},
      {"private", {Index(3), Offset(kBlockSize), kWidth, kValue}},
      {"inode", {Index(160), Offset(kInodeSize), kWidth, kValue}},
      {"node", {Index(24), Offset(kBlockSize), kWidth, kValue}},
      {"commit", {Offset(sizeof(CommitLine)), kWidth, kValue}},
      {"bits", {Index(3), Offset(kBlocksPerGroup), Index(64), Index(2)}},
      {"raw", {Index(kAreas), Offset(uint64_t{1} << 20), kWidth, kValue}},
      {"start", {kValue}},
      {"record", {kValue, kValue}},
      {"patch", {Offset(uint64_t{1} << 17), Index(kMostPatchLines), kValue}},
      {"patch_inode", {Index(160), Offset(kInodeSize), kWidth, kValue}},
      {"patch_node", {Index(24), Offset(kBlockSize), kWidth, kValue}},
      {"patch_field", {Offset(sizeof(Patch)), kWidth, kValue}},
      {"header", {Offset(sizeof(RecordHeader)), kWidth, kValue}},
      {"tear", {Offset(kBlockSize), kWidth, kValue}},
  };
  return steps;
}

void ImageEditor::Change(std::span<std::byte> object, const Edit& edit) {
  const uint64_t width = std::min<uint64_t>(
      std::bit_floor(std::clamp<uint64_t>(edit.width, 1, kWidest)), object.size());
  const uint64_t offset = edit.offset % (object.size() - width + 1);
  std::memcpy(object.data() + offset, &edit.value, width);
}

template <typename T>
void ImageEditor::ChangePair(uint64_t offset, uint64_t which, const Edit& edit) {
  for (uint64_t i = 0; i < 2; ++i) {
    if (which % 3 != 0 && which % 3 != i + 1) continue;
    T& block = At<T>(offset + i * kBlockSize);
    Change(std::as_writable_bytes(std::span(&block, 1)), edit);
    Seal(block);
  }
}

void ImageEditor::Apply(const Recipe& recipe, const Grammar& grammar) {
  for (const Step& step : recipe) ApplyStep(grammar[step.kind].word, step.numbers);
  EndRecord();
}

void ImageEditor::ApplyStep(std::string_view word, const Numbers& n) {
  if (word == "superblock") {
    ChangePair<Superblock>(kSuperblockOffset, n[0], {n[1], n[2], n[3]});
  } else if (word == "private") {
    ChangePair<PrivateBlock>(kPrivateBlockOffset, n[0], {n[1], n[2], n[3]});
  } else if (word == "inode") {
    auto& inode = At<InodeDisk>(geometry_.InodeOffset(n[0] % geometry_.inode_count));
    Change(std::as_writable_bytes(std::span(&inode, 1)), {n[1], n[2], n[3]});
    Seal(inode);
  } else if (word == "node") {
    const auto block = Bytes(nodes_[n[0] % nodes_.size()] * kBlockSize, kBlockSize);
    Change(block, {n[1], n[2], n[3]});
    SealBlock(block.first<kBlockSize>());
  } else if (word == "commit") {
    Change(Bytes(kCommitLineOffset, sizeof(CommitLine)), {n[0], n[1], n[2]});
  } else if (word == "bits") {
    const PoolRange area = AreaOf(5 + n[0] % 3, geometry_);
    for (uint64_t i = n[1]; i < n[1] + n[2] % kBlocksPerGroup; ++i) {
      auto& byte = At<uint8_t>(area.offset + i / 8 % area.length);
      const auto mask = static_cast<uint8_t>(1U << (i % 8));
      byte = static_cast<uint8_t>(n[3] % 2 != 0 ? byte | mask : byte & ~mask);
    }
  } else if (word == "raw") {
    const PoolRange area = AreaOf(n[0], geometry_);
    Change(Bytes(area.offset, area.length), {n[1], n[2], n[3]});
  } else if (word == "start") {
    const Lsn lsn = n[0] / kLineSize * kLineSize;
    At<CommitLine>(kCommitLineOffset).commit = lsn;
    ChangePair<PrivateBlock>(kPrivateBlockOffset, 0, {offsetof(PrivateBlock, tail), kWidest, lsn});
  } else if (word == "record") {
    EndRecord();
    recording_ = true;
    record_.header.transaction = n[0];
    record_.header.epoch = n[1];
  } else if (recording_) {
    ApplyToRecord(word, n);
  }
}

void ImageEditor::ApplyToRecord(std::string_view word, const Numbers& n) {
  if (word == "patch") {
    const uint64_t lines = 1 + n[1] % kMostPatchLines;
    const uint64_t offset = n[0] % (memory_.size() / kLineSize - lines + 1) * kLineSize;
    AddPatch(offset, Bytes(offset, lines * kLineSize));
    std::memcpy(record_.bytes.data() + record_.bytes.size() - lines * kLineSize, &n[2], kWidest);
  } else if (word == "patch_inode") {
    const uint64_t offset = geometry_.InodeOffset(n[0] % geometry_.inode_count);
    auto inode = At<InodeDisk>(offset);
    Change(std::as_writable_bytes(std::span(&inode, 1)), {n[1], n[2], n[3]});
    Seal(inode);
    AddPatch(offset, BytesOf(inode));
  } else if (word == "patch_node") {
    const uint64_t offset = nodes_[n[0] % nodes_.size()] * kBlockSize;
    std::array<std::byte, kBlockSize> block;
    std::ranges::copy(Bytes(offset, kBlockSize), block.begin());
    Change(block, {n[1], n[2], n[3]});
    SealBlock(block);
    AddPatch(offset, block);
  } else if (word == "patch_field" && !record_.patches.empty()) {
    Change(std::as_writable_bytes(std::span(&record_.patches.back(), 1)), {n[0], n[1], n[2]});
  } else if (word == "header") {
    record_.header_edits.push_back({n[0], n[1], n[2]});
  } else if (word == "tear") {
    record_.tears.push_back({n[0], n[1], n[2]});
  }
}

void ImageEditor::AddPatch(uint64_t offset, std::span<const std::byte> bytes) {
  record_.patches.push_back({offset, static_cast<uint32_t>(bytes.size()), 0});
  record_.bytes.insert(record_.bytes.end(), bytes.begin(), bytes.end());
}

void ImageEditor::EndRecord() {
  if (!recording_) return;
  auto& commit = At<CommitLine>(kCommitLineOffset).commit;
  const uint64_t table = record_.patches.size() * sizeof(Patch);
  const uint64_t front = sizeof(RecordHeader) + (table + kLineSize - 1) / kLineSize * kLineSize;
  std::vector<std::byte> all(front + record_.bytes.size());
  RecordHeader& header = record_.header;
  header.magic = kRecordMagic;
  header.lsn = commit;
  header.length = all.size();
  header.patch_count = static_cast<uint32_t>(record_.patches.size());
  for (const Edit& edit : record_.header_edits)
    Change(std::as_writable_bytes(std::span(&header, 1)), edit);
  std::memcpy(all.data(), &header, sizeof(header));
  if (table != 0) std::memcpy(all.data() + sizeof(header), record_.patches.data(), table);
  std::ranges::copy(record_.bytes, all.begin() + static_cast<ptrdiff_t>(front));
  const uint32_t crc = ChecksumOf(all, offsetof(RecordHeader, crc));
  std::memcpy(all.data() + offsetof(RecordHeader, crc), &crc, sizeof(crc));
  for (const Edit& tear : record_.tears) Change(all, tear);
  for (size_t i = 0; i < all.size(); ++i)
    At<std::byte>(geometry_.journal.offset + (commit + i) % geometry_.journal.length) = all[i];
  commit += all.size();
  record_ = {};
  recording_ = false;
}

}  // namespace mirdax::fuzz
