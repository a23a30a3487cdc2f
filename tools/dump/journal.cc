// SPDX-License-Identifier: BSD-2-Clause
// The journal, and the free map.
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "fs/core/replay.h"
#include "tools/dump/dump.h"

namespace mirdax::dump {
namespace {

bool Inside(const PoolRange& area, uint64_t offset) {
  return offset >= area.offset && offset < area.end();
}

Json RecordJson(const JournalRecord& record, Json patches) {
  const RecordHeader& header = record.header;
  return {{"lsn", header.lsn},
          {"length", header.length},
          {"transaction", header.transaction},
          {"epoch", header.epoch},
          {"crc", fmt::format("{:#010x}", header.crc)},
          {"patches", std::move(patches)}};
}

}  // namespace

std::string Dumper::AreaOf(const Patch& patch) const {
  const Geometry& g = *geometry_;
  const uint64_t offset = patch.offset;
  if (Inside(g.block_bitmap, offset)) {
    return fmt::format("block bitmap, group {}", (offset - g.block_bitmap.offset) / kBlockSize);
  }
  if (Inside(g.inode_bitmap, offset)) {
    return fmt::format("inode bitmap, inodes from {}", (offset - g.inode_bitmap.offset) * 8);
  }
  if (Inside(g.orphan_bitmap, offset)) {
    return fmt::format("orphan bitmap, inodes from {}", (offset - g.orphan_bitmap.offset) * 8);
  }
  if (Inside(g.inode_table, offset)) {
    const Ino first = (offset - g.inode_table.offset) / kInodeSize;
    const Ino last = (offset + patch.length - 1 - g.inode_table.offset) / kInodeSize;
    return first == last ? fmt::format("inode {}", first)
                         : fmt::format("inodes {}..{}", first, last);
  }
  return fmt::format("data, block {}", offset / kBlockSize);
}

Result<Json> Dumper::Journal(std::optional<Lsn> from) {
  MIRDAX_TRY(NeedGeometry());
  const Lsn commit = region_.As<CommitLine>(kCommitLineOffset).commit;
  Json json{{"offset", geometry_->journal.offset},
            {"size", geometry_->journal.length},
            {"commit_lsn", commit}};
  if (private_block_) {
    json["tail_lsn"] = private_block_->tail;
    if (const auto word = ReadCommitWord(region_, *geometry_, private_block_->tail); !word) {
      json["problem"] = word.error().message;
    }
  } else {
    json["problem"] = "no valid private block: the tail is unknown";
    if (!from) return json;
  }
  Lsn lsn = from.value_or(private_block_ ? private_block_->tail : 0);
  if (lsn > commit || commit - lsn > geometry_->journal.length) {
    if (from) {
      return Fail(ErrorCode::kInvalid,
                  "the journal holds nothing at LSN {}: it ends at {} and is {} bytes long", lsn,
                  commit, geometry_->journal.length);
    }
    return json;
  }
  Json& records = json["records"] = Json::array();
  while (lsn < commit) {
    const auto record = ReadRecord(region_, *geometry_, lsn, commit);
    if (!record) {
      records.push_back({{"lsn", lsn}, {"problem", record.error().message}});
      break;
    }
    Json patches = Json::array();
    for (const Patch& patch : record->patches) {
      patches.push_back(
          {{"offset", patch.offset}, {"length", patch.length}, {"area", AreaOf(patch)}});
    }
    records.push_back(RecordJson(*record, std::move(patches)));
    lsn += record->header.length;
  }
  return json;
}

Result<Json> Dumper::Free(bool runs) {
  MIRDAX_TRY(NeedGeometry());
  const Geometry& g = *geometry_;
  const auto bit = [&](const PoolRange& bitmap, uint64_t i) {
    return ((region_.As<uint64_t>(bitmap.offset + i / 64 * 8) >> (i % 64)) & 1) != 0;
  };
  Json groups = Json::array();
  Json all_runs = Json::array();
  uint64_t blocks_free = 0;
  for (uint64_t group = 0; group < g.group_count(); ++group) {
    const uint64_t begin = group * kBlocksPerGroup;
    const uint64_t end = std::min(begin + kBlocksPerGroup, g.data_blocks);
    uint64_t free = 0;
    uint64_t largest = 0;
    uint64_t count = 0;
    for (uint64_t i = begin; i < end;) {
      if (bit(g.block_bitmap, i)) {
        ++i;
        continue;
      }
      const uint64_t start = i;
      while (i < end && !bit(g.block_bitmap, i)) ++i;
      free += i - start;
      largest = std::max(largest, i - start);
      ++count;
      if (runs) {
        all_runs.push_back({{"block", g.first_data_block() + start}, {"length", i - start}});
      }
    }
    blocks_free += free;
    groups.push_back({{"group", group},
                      {"first_block", g.first_data_block() + begin},
                      {"blocks", end - begin},
                      {"free", free},
                      {"runs", count},
                      {"largest_run", largest}});
  }
  uint64_t inodes_free = 0;
  uint64_t orphans = 0;
  for (uint64_t i = 0; i < g.inode_count; ++i) {
    inodes_free += bit(g.inode_bitmap, i) ? 0 : 1;
    orphans += bit(g.orphan_bitmap, i) ? 1 : 0;
  }
  Json json{{"blocks", g.data_blocks}, {"blocks_free", blocks_free},
            {"inodes", g.inode_count}, {"inodes_free", inodes_free},
            {"orphans", orphans},      {"groups", std::move(groups)}};
  if (runs) json["runs"] = std::move(all_runs);
  return json;
}

}  // namespace mirdax::dump
