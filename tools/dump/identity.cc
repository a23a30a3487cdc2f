// SPDX-License-Identifier: BSD-2-Clause
// Superblocks, private blocks, and the dumper's first look at a pool.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fs/base/text.h"
#include "fs/base/uuid.h"
#include "fs/core/replay.h"
#include "fs/format/checksums.h"
#include "fs/format/names.h"
#include "fs/format/private_block.h"
#include "fs/format/superblock.h"
#include "tools/common/text.h"
#include "tools/dump/dump.h"

namespace mirdax::dump {
namespace {

ConstBlockSpan BlockAt(Region& region, uint64_t offset) {
  return ConstBlockSpan(region.At(offset, kBlockSize), kBlockSize);
}

std::string UuidText(const std::array<uint8_t, 16>& bytes) { return Uuid{bytes}.ToString(); }

template <size_t N>
std::string FieldText(const std::array<char, N>& field) {
  return Printable({field.begin(), std::find(field.begin(), field.end(), '\0')});
}

Json Area(uint64_t offset, uint64_t length) { return {{"offset", offset}, {"length", length}}; }

Json DecodeFields(const Superblock& sb) {
  return {
      {"magic", fmt::format("{:#018x}", sb.magic)},
      {"version", sb.version},
      {"crc", fmt::format("{:#010x}", sb.crc)},
      {"sequence", sb.sequence},
      {"compat", sb.compat},
      {"ro_compat", sb.ro_compat},
      {"incompat", sb.incompat},
      {"blank", (sb.incompat & kIncompatBlank) != 0},
      {"set_uuid", UuidText(sb.set_uuid)},
      {"label", FieldText(sb.label)},
      {"block_size", sb.block_size},
      {"pool_size", sb.pool_size},
      {"out_of_sync_maps",
       {{"offset", sb.out_of_sync_offset},
        {"maps", kMaxMirrors},
        {"bytes_per_map", sb.out_of_sync_size},
        {"bytes_per_bit", sb.out_of_sync_chunk}}},
      {"journal", Area(sb.journal_offset, sb.journal_size)},
      {"block_bitmap", Area(sb.block_bitmap_offset, sb.block_bitmap_size)},
      {"inode_bitmap", Area(sb.inode_bitmap_offset, sb.inode_bitmap_size)},
      {"orphan_bitmap", Area(sb.orphan_bitmap_offset, sb.inode_bitmap_size)},
      {"inode_table", {{"offset", sb.inode_table_offset}, {"inodes", sb.inode_count}}},
      {"data", {{"offset", sb.data_offset}, {"blocks", sb.data_blocks}}},
      {"blocks_per_group", sb.blocks_per_group},
      {"created", TimeText(sb.created_seconds)},
  };
}

Json DecodeFields(const PrivateBlock& block) {
  Json history = Json::array();
  for (size_t i = 0; i < std::min<size_t>(block.history_count, kHistoryLength); ++i) {
    const EpochEntry& entry = block.history[i];
    history.push_back({{"epoch", entry.epoch.number},
                       {"id", IdText(entry.epoch.id)},
                       {"start_lsn", entry.start},
                       {"since", TimeText(entry.since_seconds)}});
  }
  Json members = Json::array();
  for (size_t i = 0; i < kMaxMirrors; ++i) {
    const Member& member = block.members[i];
    if (member.state == MemberState::kNone) continue;
    members.push_back({{"slot", i},
                       {"copy_uuid", UuidText(member.copy_uuid)},
                       {"state", MemberStateName(member.state)},
                       {"since_epoch", member.since_epoch},
                       {"address", FieldText(member.address)}});
  }
  return {
      {"crc", fmt::format("{:#010x}", block.crc)},
      {"sequence", block.sequence},
      {"copy_uuid", UuidText(block.copy_uuid)},
      {"set_uuid", UuidText(block.set_uuid)},
      {"role", RoleName(block.role)},
      {"state", StateName(block.state)},
      {"clean", block.clean == 1},
      {"tail_lsn", block.tail},
      {"mount_count", block.mount_count},
      {"history", std::move(history)},
      {"members", std::move(members)},
  };
}

// Both copies of an A/B pair; `current` is the slot that counts.
template <typename T>
Json Pair(Region& region, uint64_t offset, Result<T> (*decode)(ConstBlockSpan),
          std::optional<size_t> current) {
  Json copies = Json::array();
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t at = offset + i * kBlockSize;
    Json copy{{"copy", i == 0 ? "A" : "B"}, {"offset", at}, {"current", current == i}};
    if (const Result<T> decoded = decode(BlockAt(region, at)); !decoded) {
      copy["problem"] = decoded.error().message;
    }
    copy.update(DecodeFields(region.As<T>(at)));
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

Dumper::Dumper(Region& region) : region_(region) {
  if (auto block = ChoosePrivateBlock(BlockAt(region, kPrivateBlockOffset),
                                      BlockAt(region, kPrivateBlockOffset + kBlockSize))) {
    private_block_ = block->block;
  }
  const auto choice = ChooseSuperblock(BlockAt(region, kSuperblockOffset),
                                       BlockAt(region, kSuperblockOffset + kBlockSize));
  if (!choice) {
    superblock_problem_ = choice.error().message;
  } else if ((choice->superblock.incompat & kIncompatBlank) != 0) {
    superblock_problem_ = "a blank mirror: there is nothing but superblock and private block";
  } else if (choice->superblock.pool_size > region.size()) {
    superblock_problem_ = fmt::format("the superblock covers {} bytes, the pool has {}",
                                      choice->superblock.pool_size, region.size());
  } else if (auto geometry = GeometryOf(choice->superblock)) {
    geometry_ = *geometry;
  }
}

Status Dumper::NeedGeometry() const {
  if (geometry_) return {};
  return Fail(ErrorCode::kCorrupt, "{}", superblock_problem_);
}

Json Dumper::Superblocks() {
  const auto choice = ChooseSuperblock(BlockAt(region_, kSuperblockOffset),
                                       BlockAt(region_, kSuperblockOffset + kBlockSize));
  return Pair<Superblock>(region_, kSuperblockOffset, DecodeSuperblock,
                          choice ? std::optional(choice->slot) : std::nullopt);
}

Json Dumper::PrivateBlocks() {
  const auto choice = ChoosePrivateBlock(BlockAt(region_, kPrivateBlockOffset),
                                         BlockAt(region_, kPrivateBlockOffset + kBlockSize));
  return Pair<PrivateBlock>(region_, kPrivateBlockOffset, DecodePrivateBlock,
                            choice ? std::optional(choice->slot) : std::nullopt);
}

Status Dumper::Replay() {
  MIRDAX_TRY(NeedGeometry());
  if (!private_block_)
    return Fail(ErrorCode::kCorrupt, "no valid private block: the tail is unknown");
  MIRDAX_ASSIGN(const Lsn commit, ReadCommitWord(region_, *geometry_, private_block_->tail));
  MIRDAX_TRY(ReplayJournal(region_, *geometry_, private_block_->tail, commit));
  return {};
}

}  // namespace mirdax::dump
