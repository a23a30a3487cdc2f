// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/pool_image.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "fs/format/checksums.h"
#include "fs/format/dir_hash.h"
#include "fs/format/node_views.h"

namespace mirdax::test {
namespace {

FormatOptions SmallOptions() {
  FormatOptions options;
  options.label = "image";
  options.geometry.inode_count = 1024;
  return options;
}

}  // namespace

PoolImage::PoolImage(uint64_t size)
    : pool_(MemoryPool::Create(size, SmallOptions())),
      next_block_(pool_->geometry().first_data_block()) {}

void PoolImage::SealInode(Ino ino) { Seal(Inode(ino)); }

void PoolImage::SealNode(BlockNo block) {
  SealBlock(
      std::span<std::byte, kBlockSize>(region().memory().data() + block * kBlockSize, kBlockSize));
}

void PoolImage::SealPrivateBlocks() {
  for (uint64_t i = 0; i < 2; ++i) {
    auto& block = At<PrivateBlock>(kPrivateBlockOffset + i * kBlockSize);
    if (block.magic != 0) Seal(block);
  }
}

void PoolImage::SealSuperblocks() {
  for (uint64_t i = 0; i < 2; ++i) Seal(At<Superblock>(kSuperblockOffset + i * kBlockSize));
}

void PoolImage::MarkBlock(BlockNo block, bool used) {
  const uint64_t bit = block - geometry().first_data_block();
  auto& byte = At<uint8_t>(geometry().block_bitmap.offset + bit / 8);
  const auto mask = static_cast<uint8_t>(1U << (bit % 8));
  byte = static_cast<uint8_t>(used ? byte | mask : byte & ~mask);
}

void PoolImage::MarkInode(Ino ino, bool used) {
  auto& byte = At<uint8_t>(geometry().inode_bitmap.offset + ino / 8);
  const auto mask = static_cast<uint8_t>(1U << (ino % 8));
  byte = static_cast<uint8_t>(used ? byte | mask : byte & ~mask);
}

void PoolImage::MarkOrphan(Ino ino, bool orphan) {
  auto& byte = At<uint8_t>(geometry().orphan_bitmap.offset + ino / 8);
  const auto mask = static_cast<uint8_t>(1U << (ino % 8));
  byte = static_cast<uint8_t>(orphan ? byte | mask : byte & ~mask);
}

BlockNo PoolImage::Allocate(uint64_t count) {
  const BlockNo first = next_block_;
  next_block_ += count;
  for (uint64_t i = 0; i < count; ++i) MarkBlock(first + i, true);
  return first;
}

Ino PoolImage::NewInode(uint32_t mode) {
  const Ino ino = next_ino_++;
  MarkInode(ino, true);
  InodeDisk inode{};
  inode.magic = kInodeMagic;
  inode.ino = ino;
  inode.generation = 1;
  inode.mode = mode;
  inode.nlink = S_ISDIR(mode) ? 2 : 1;
  inode.seconds.fill(1'700'000'000);
  Inode(ino) = inode;
  SealInode(ino);
  return ino;
}

Ino PoolImage::NewFile(std::span<const Extent> extents, uint64_t size) {
  const Ino ino = NewInode(S_IFREG | 0644);
  InodeDisk& inode = Inode(ino);
  ExtentRoot root{};
  root.count = static_cast<uint16_t>(extents.size());
  std::copy(extents.begin(), extents.end(), root.entries.begin());
  std::memcpy(inode.payload.data(), &root, sizeof(root));
  for (const Extent& extent : extents) inode.blocks += extent.length;
  inode.size = size;
  SealInode(ino);
  return ino;
}

BlockNo PoolImage::NewNode(Ino owner, BlockType type, uint16_t level) {
  const BlockNo block = Allocate();
  std::memset(&Block<std::byte>(block), 0, kBlockSize);
  auto& header = Block<BlockHeader>(block);
  header.magic = kBlockMagic;
  header.owner = owner;
  header.self = block;
  header.type = type;
  header.level = level;
  return block;
}

void PoolImage::GrowTree(Ino ino, size_t per_leaf) {
  const ExtentRoot old = Root(ino);
  ExtentRoot root{};
  root.level = 1;
  for (size_t i = 0; i < old.count; i += per_leaf) {
    const BlockNo block = NewNode(ino, BlockType::kExtentNode, 0);
    auto& node = Block<ExtentNode>(block);
    const size_t count = std::min<size_t>(per_leaf, old.count - i);
    std::copy_n(old.entries.begin() + static_cast<ptrdiff_t>(i), count, node.entries.begin());
    node.header.count = static_cast<uint16_t>(count);
    SealNode(block);
    root.entries[root.count++] =
        std::bit_cast<Extent>(ExtentIndex{old.entries[i].file_block, block, 0});
    ++Inode(ino).blocks;
  }
  Root(ino) = root;
  SealInode(ino);
}

Ino PoolImage::NewSymlink(std::string_view target) {
  const Ino ino = NewInode(S_IFLNK | 0777);
  InodeDisk& inode = Inode(ino);
  inode.size = target.size();
  if (target.size() <= kInlineSymlinkMax) {
    inode.flags = kInodeInlineLink;
    std::memcpy(inode.payload.data(), target.data(), target.size());
  } else {
    const BlockNo block = Allocate();
    std::memcpy(&Block<std::byte>(block), target.data(), target.size());
    ExtentRoot root{};
    root.count = 1;
    root.entries[0] = {0, block, 1, 0};
    Root(ino) = root;
    inode.blocks = 1;
  }
  SealInode(ino);
  return ino;
}

Ino PoolImage::NewDirectory(Ino parent) {
  const Ino ino = NewInode(S_IFDIR | 0755);
  Inode(ino).parent = parent;
  SealInode(ino);
  return ino;
}

void PoolImage::Fill(Ino dir, std::vector<Name> names) {
  std::map<DirKey, Name> by_key;
  for (Name& name : names) {
    DirKey key = DirHash(pool_->superblock().hash_seed, name.name);
    while (by_key.contains(key)) ++key;
    by_key.emplace(key, std::move(name));
  }
  std::vector<DirIndexEntry> leaves;
  BlockNo block = 0;
  for (const auto& [key, name] : by_key) {
    const size_t size = DirEntrySize(name.name.size());
    if (block == 0 || Block<BlockHeader>(block).heap_start - size <
                          sizeof(BlockHeader) + (Block<BlockHeader>(block).count + 1U) * 2) {
      block = NewNode(dir, BlockType::kDirLeaf, 0);
      Block<BlockHeader>(block).heap_start = kBlockSize;
      leaves.push_back({key, block});
    }
    auto& header = Block<BlockHeader>(block);
    header.heap_start = static_cast<uint16_t>(header.heap_start - size);
    const uint64_t base = block * kBlockSize;
    auto& entry = At<DirEntryHeader>(base + header.heap_start);
    entry = {key, name.ino, name.type, static_cast<uint8_t>(name.name.size()), {}};
    std::memcpy(&entry + 1, name.name.data(), name.name.size());
    At<uint16_t>(base + sizeof(BlockHeader) + header.count * 2U) = header.heap_start;
    ++header.count;
  }
  for (const DirIndexEntry& leaf : leaves) SealNode(leaf.child);
  BlockNo root = leaves.empty() ? 0 : leaves.front().child;
  uint64_t nodes = leaves.size();
  if (leaves.size() > 1) {
    root = NewNode(dir, BlockType::kDirIndex, 1);
    auto& index = Block<DirIndexNode>(root);
    std::copy(leaves.begin(), leaves.end(), index.entries.begin());
    index.header.count = static_cast<uint16_t>(leaves.size());
    SealNode(root);
    ++nodes;
  }
  Dir(dir) = DirRoot{root, by_key.size(), {}};
  InodeDisk& inode = Inode(dir);
  inode.size = nodes * kBlockSize;
  inode.blocks += nodes;
  inode.nlink = 2;
  for (const auto& [key, name] : by_key) inode.nlink += name.type == DT_DIR ? 1 : 0;
  SealInode(dir);
}

void PoolImage::SetXattr(Ino ino, std::string_view name, std::string_view value) {
  const BlockNo block = NewNode(ino, BlockType::kXattr, 0);
  auto& header = Block<BlockHeader>(block);
  const uint64_t base = block * kBlockSize;
  auto& entry = At<XattrEntry>(base + sizeof(BlockHeader));
  entry = {static_cast<uint16_t>(value.size()), XattrNamespace::kUser,
           static_cast<uint8_t>(name.size()), 0};
  std::memcpy(&At<std::byte>(base + sizeof(BlockHeader) + sizeof(XattrEntry)), name.data(),
              name.size());
  std::memcpy(&At<std::byte>(base + sizeof(BlockHeader) + sizeof(XattrEntry) + name.size()),
              value.data(), value.size());
  header.count = 1;
  header.heap_start =
      static_cast<uint16_t>(sizeof(BlockHeader) + XattrEntrySize(name.size(), value.size()));
  SealNode(block);
  Inode(ino).xattr_block = block;
  ++Inode(ino).blocks;
  SealInode(ino);
}

Lsn PoolImage::Append(std::span<const Change> changes) {
  auto& line = At<CommitLine>(kCommitLineOffset);
  std::vector<std::byte> record(sizeof(RecordHeader));
  for (const Change& change : changes) {
    const Patch patch{change.offset, static_cast<uint32_t>(change.bytes.size()), 0};
    const auto bytes = std::as_bytes(std::span(&patch, 1));
    record.insert(record.end(), bytes.begin(), bytes.end());
  }
  record.resize((record.size() + kLineSize - 1) / kLineSize * kLineSize);
  for (const Change& change : changes) {
    record.insert(record.end(), change.bytes.begin(), change.bytes.end());
  }
  auto& header = *reinterpret_cast<RecordHeader*>(record.data());
  header.magic = kRecordMagic;
  header.lsn = line.commit;
  header.length = record.size();
  header.patch_count = static_cast<uint32_t>(changes.size());
  header.transaction = line.commit / kLineSize + 1;
  header.epoch = 1;
  header.crc = ChecksumOf(record, offsetof(RecordHeader, crc));
  for (size_t i = 0; i < record.size(); ++i) {
    At<std::byte>(geometry().journal.offset + (line.commit + i) % geometry().journal.length) =
        record[i];
  }
  const Lsn lsn = line.commit;
  line.commit += record.size();
  for (uint64_t i = 0; i < 2; ++i) At<PrivateBlock>(kPrivateBlockOffset + i * kBlockSize).clean = 0;
  SealPrivateBlocks();
  return lsn;
}

PoolImage::Sample PoolImage::AddSample(int names) {
  Sample s;
  const auto extent = [&](uint64_t at, uint32_t length, uint32_t flags = 0) {
    const Extent made{at, Allocate(length), length, flags};
    Allocate();  // a gap, freed again, so that nothing merges
    MarkBlock(next_block_ - 1, false);
    return made;
  };
  s.file = NewFile(std::array{extent(0, 3), extent(3, 2, kExtentUnwritten)}, 3 * kBlockSize - 5);
  SetXattr(s.file, "colour", "blue");
  s.big = NewFile(std::array{extent(0, 1), extent(2, 4), extent(10, 1), extent(100, 2)},
                  102 * kBlockSize);
  GrowTree(s.big, 2);
  s.sparse = NewFile({}, uint64_t{1} << 36);
  s.link = NewSymlink("dir/inner");
  s.long_link = NewSymlink(std::string(1000, 'x'));
  s.device = NewInode(S_IFCHR | 0600);
  Inode(s.device).payload[0] = 3;
  SealInode(s.device);
  s.fifo = NewInode(S_IFIFO | 0600);
  s.orphan = NewFile(std::array{extent(0, 2)}, 2 * kBlockSize);
  Inode(s.orphan).nlink = 0;
  Inode(s.orphan).flags = kInodeOrphan;
  SealInode(s.orphan);
  MarkOrphan(s.orphan, true);
  s.dir = NewDirectory(kRootIno);
  s.inner = NewDirectory(s.dir);
  s.many = NewDirectory(kRootIno);
  s.empty = NewDirectory(s.inner);
  std::vector<Name> many;
  for (int i = 0; i < names; ++i) {
    const Ino ino = NewInode(S_IFREG | 0644);
    many.push_back({fmt::format("name-{:04}", i), ino, DT_REG});
  }
  Fill(s.many, std::move(many));
  Fill(s.inner, {{"empty", s.empty, DT_DIR}, {"hard", s.file, DT_REG}});
  Fill(s.dir, {{"inner", s.inner, DT_DIR}, {"fifo", s.fifo, DT_FIFO}});
  Inode(s.file).nlink = 2;
  SealInode(s.file);
  Fill(kRootIno, {{"dir", s.dir, DT_DIR},
                  {"many", s.many, DT_DIR},
                  {"file", s.file, DT_REG},
                  {"big", s.big, DT_REG},
                  {"sparse", s.sparse, DT_REG},
                  {"link", s.link, DT_LNK},
                  {"long-link", s.long_link, DT_LNK},
                  {"device", s.device, DT_CHR}});
  return s;
}

}  // namespace mirdax::test
