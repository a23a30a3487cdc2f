// SPDX-License-Identifier: BSD-2-Clause
// Writes structures of the format straight into a pool, checksums and all, without the engine: a
// second author of docs/FORMAT.md, and the way to make what the engine never would.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "tests/support/memory_pool.h"

namespace mirdax::test {

class PoolImage {
 public:
  struct Name {
    std::string name;
    Ino ino = 0;
    uint8_t type = 0;  // DT_*
  };

  // An empty filesystem.
  explicit PoolImage(uint64_t size = kMinPoolSize);

  Region& region() { return pool_->region(); }
  MemoryPool& pool() { return *pool_; }
  const Geometry& geometry() const { return pool_->geometry(); }

  // Anything in the pool, to change; then Seal... what has a checksum.
  template <typename T>
  T& At(uint64_t offset) {
    return *reinterpret_cast<T*>(region().memory().data() + offset);
  }
  template <typename T>
  T& Block(BlockNo block) {
    return At<T>(block * kBlockSize);
  }
  InodeDisk& Inode(Ino ino) { return At<InodeDisk>(geometry().InodeOffset(ino)); }
  ExtentRoot& Root(Ino ino) { return *reinterpret_cast<ExtentRoot*>(Inode(ino).payload.data()); }
  DirRoot& Dir(Ino ino) { return *reinterpret_cast<DirRoot*>(Inode(ino).payload.data()); }
  void SealInode(Ino ino);
  void SealNode(BlockNo block);
  void SealPrivateBlocks();
  void SealSuperblocks();

  // The next `count` blocks, marked in use.
  BlockNo Allocate(uint64_t count = 1);
  void MarkBlock(BlockNo block, bool used);
  void MarkInode(Ino ino, bool used);
  void MarkOrphan(Ino ino, bool orphan);

  // An inode in use, with one link (two for a directory).
  Ino NewInode(uint32_t mode);
  Ino NewFile(std::span<const Extent> extents, uint64_t size);
  // Moves the extents of a file's root into leaves below it, `per_leaf` in each.
  void GrowTree(Ino ino, size_t per_leaf);
  Ino NewSymlink(std::string_view target);
  Ino NewDirectory(Ino parent);
  // Gives an empty directory its names: one leaf, or leaves below an index node.
  void Fill(Ino dir, std::vector<Name> names);
  void SetXattr(Ino ino, std::string_view name, std::string_view value);

  // Commits one record at the end of the journal; home stays as it is.
  struct Change {
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };
  Lsn Append(std::span<const Change> changes);

  // A bit of everything, and a directory of `names` empty files. See the source.
  struct Sample {
    Ino file = 0, big = 0, sparse = 0, link = 0, long_link = 0, device = 0, fifo = 0, orphan = 0;
    Ino dir = 0, inner = 0, many = 0, empty = 0;
  };
  Sample AddSample(int names = 300);

 private:
  BlockNo NewNode(Ino owner, BlockType type, uint16_t level);

  std::unique_ptr<MemoryPool> pool_;
  BlockNo next_block_;
  Ino next_ino_ = kRootIno + 1;
};

}  // namespace mirdax::test
