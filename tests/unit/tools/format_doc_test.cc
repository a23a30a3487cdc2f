// SPDX-License-Identifier: BSD-2-Clause
// docs/FORMAT.md is the specification: its tables say what fs/format/layout.h says.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "fs/format/layout.h"

namespace mirdax {
namespace {

struct Row {
  size_t offset;
  size_t size;
  std::string field;
  friend bool operator==(const Row&, const Row&) = default;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.field << " at " << row.offset << ", " << row.size << " bytes";
}
using Tables = std::map<std::string, std::vector<Row>>;

// Tables that follow a line "<!-- layout: Name -->".
Tables ReadTables() {
  std::ifstream file(MIRDAX_FORMAT_DOC);
  EXPECT_TRUE(file.is_open()) << MIRDAX_FORMAT_DOC;
  const std::regex title(R"(<!-- layout: (\w+) -->)");
  const std::regex row(R"(\| (\d+) \| (\d+) \| `([\w.]+)` \|.*)");
  Tables tables;
  std::string name;
  bool in_table = false;
  std::smatch match;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, match, title)) {
      name = match[1];
      in_table = false;
    } else if (!name.empty() && std::regex_match(line, match, row)) {
      tables[name].push_back({std::stoul(match[1]), std::stoul(match[2]), match[3]});
      in_table = true;
    } else if (in_table) {
      name.clear();
      in_table = false;
    }
  }
  return tables;
}

#define FIELD(type, field) \
  Row { offsetof(type, field), sizeof(type::field), #field }

Tables WantedTables() {
  using S = Superblock;
  using P = PrivateBlock;
  using I = InodeDisk;
  using B = BlockHeader;
  using R = RecordHeader;
  return {
      {"Superblock",
       {FIELD(S, magic),
        FIELD(S, version),
        FIELD(S, crc),
        FIELD(S, sequence),
        FIELD(S, compat),
        FIELD(S, ro_compat),
        FIELD(S, incompat),
        FIELD(S, set_uuid),
        FIELD(S, label),
        FIELD(S, block_size),
        FIELD(S, pool_size),
        FIELD(S, out_of_sync_offset),
        FIELD(S, out_of_sync_size),
        FIELD(S, out_of_sync_chunk),
        FIELD(S, journal_offset),
        FIELD(S, journal_size),
        FIELD(S, block_bitmap_offset),
        FIELD(S, block_bitmap_size),
        FIELD(S, inode_bitmap_offset),
        FIELD(S, inode_bitmap_size),
        FIELD(S, orphan_bitmap_offset),
        FIELD(S, inode_table_offset),
        FIELD(S, inode_count),
        FIELD(S, data_offset),
        FIELD(S, data_blocks),
        FIELD(S, blocks_per_group),
        FIELD(S, hash_seed),
        FIELD(S, created_seconds),
        FIELD(S, zero)}},
      {"PrivateBlock",
       {FIELD(P, magic), FIELD(P, crc), FIELD(P, sequence), FIELD(P, copy_uuid), FIELD(P, set_uuid),
        FIELD(P, role), FIELD(P, state), FIELD(P, clean), FIELD(P, history_count), FIELD(P, tail),
        FIELD(P, mount_count), FIELD(P, history), FIELD(P, members), FIELD(P, zero)}},
      {"EpochEntry",
       {Row{offsetof(EpochEntry, epoch.number), sizeof(uint64_t), "epoch.number"},
        Row{offsetof(EpochEntry, epoch.id), sizeof(uint64_t), "epoch.id"}, FIELD(EpochEntry, start),
        FIELD(EpochEntry, since_seconds)}},
      {"Member",
       {FIELD(Member, copy_uuid), FIELD(Member, state), FIELD(Member, zero),
        FIELD(Member, since_epoch), FIELD(Member, address)}},
      {"CommitLine", {FIELD(CommitLine, commit), FIELD(CommitLine, zero)}},
      {"RecordHeader",
       {FIELD(R, magic), FIELD(R, crc), FIELD(R, lsn), FIELD(R, length), FIELD(R, patch_count),
        FIELD(R, zero0), FIELD(R, transaction), FIELD(R, epoch), FIELD(R, zero)}},
      {"Patch", {FIELD(Patch, offset), FIELD(Patch, length), FIELD(Patch, zero)}},
      {"InodeDisk",
       {FIELD(I, magic), FIELD(I, crc), FIELD(I, ino), FIELD(I, generation), FIELD(I, mode),
        FIELD(I, uid), FIELD(I, gid), FIELD(I, nlink), FIELD(I, flags), FIELD(I, size),
        FIELD(I, blocks), FIELD(I, xattr_block), FIELD(I, seconds), FIELD(I, nanoseconds),
        FIELD(I, parent), FIELD(I, zero), FIELD(I, payload)}},
      {"ExtentRoot",
       {FIELD(ExtentRoot, level), FIELD(ExtentRoot, count), FIELD(ExtentRoot, zero),
        FIELD(ExtentRoot, entries)}},
      {"Extent",
       {FIELD(Extent, file_block), FIELD(Extent, pool_block), FIELD(Extent, length),
        FIELD(Extent, flags)}},
      {"ExtentIndex",
       {FIELD(ExtentIndex, file_block), FIELD(ExtentIndex, child), FIELD(ExtentIndex, zero)}},
      {"BlockHeader",
       {FIELD(B, magic), FIELD(B, crc), FIELD(B, owner), FIELD(B, self), FIELD(B, type),
        FIELD(B, level), FIELD(B, count), FIELD(B, heap_start)}},
      {"ExtentNode",
       {FIELD(ExtentNode, header), FIELD(ExtentNode, entries), FIELD(ExtentNode, zero)}},
      {"DirRoot", {FIELD(DirRoot, root), FIELD(DirRoot, entry_count), FIELD(DirRoot, zero)}},
      {"DirIndexNode", {FIELD(DirIndexNode, header), FIELD(DirIndexNode, entries)}},
      {"DirIndexEntry", {FIELD(DirIndexEntry, key), FIELD(DirIndexEntry, child)}},
      {"DirEntryHeader",
       {FIELD(DirEntryHeader, key), FIELD(DirEntryHeader, ino), FIELD(DirEntryHeader, type),
        FIELD(DirEntryHeader, name_length), FIELD(DirEntryHeader, zero)}},
      {"XattrEntry",
       {FIELD(XattrEntry, value_length), FIELD(XattrEntry, space), FIELD(XattrEntry, name_length),
        FIELD(XattrEntry, zero)}},
  };
}

TEST(FormatDocument, ItsTablesAreTheLayout) {
  const Tables documented = ReadTables();
  const Tables wanted = WantedTables();
  for (const auto& [name, rows] : wanted) {
    const auto found = documented.find(name);
    ASSERT_NE(found, documented.end()) << "docs/FORMAT.md has no table for " << name;
    EXPECT_EQ(found->second, rows) << name;
  }
  EXPECT_EQ(documented.size(), wanted.size());
}

}  // namespace
}  // namespace mirdax
