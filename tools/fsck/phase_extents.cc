// SPDX-License-Identifier: BSD-2-Clause
// What files, symbolic links and devices keep in their payload; extent trees; owners of blocks.
#include <dirent.h>

#include <cstring>

#include "fs/format/node_views.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

// Walks one extent tree in file order. Extents are judged one by one, not by the engine's view of
// a whole node, so that one bad extent does not make the rest of the file's blocks look leaked.
class ExtentTree {
 public:
  ExtentTree(CheckContext& context, Ino ino, const InodeDisk& inode)
      : context_(context),
        ino_(ino),
        trimming_((inode.flags & kInodeOrphan) != 0),
        size_blocks_(inode.size / kBlockSize + (inode.size % kBlockSize != 0 ? 1 : 0)) {}

  // Checks the tree below `root`; returns how many blocks it owns, its nodes included.
  uint64_t Check(const ExtentRoot& root) {
    if (root.level > kMaxTreeLevel || root.count > kExtentsInRoot || root.zero != 0 ||
        (root.level > 0 && root.count == 0)) {
      context_.Add(FindingCode::kNodeBad,
                   fmt::format("inode {}: the root of its extent tree has level {}, {} entries, "
                               "reserved field {}",
                               ino_, root.level, root.count, root.zero),
                   ino_);
      return 0;
    }
    Entries(std::span(root.entries).first(root.count), root.level, 0, kMaxFileBlocks, 0);
    return owned_;
  }

  uint64_t mapped_blocks() const noexcept { return mapped_; }

 private:
  // Entries of one node at `level`, which covers file blocks [low, high).
  void Entries(std::span<const Extent> entries, unsigned level, uint64_t low, uint64_t high,
               BlockNo node) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (level == 0) {
        Leaf(entries[i], low, high, node);
        continue;
      }
      const auto index = std::bit_cast<ExtentIndex>(entries[i]);
      // The first child covers what lies below its key too, the last one all up to `high`.
      const uint64_t begin = i == 0 ? low : index.file_block;
      const uint64_t end = i + 1 < entries.size() ? entries[i + 1].file_block : high;
      if (begin < low || index.file_block >= end || end > high) {
        context_.Add(FindingCode::kExtentOrderWrong,
                     fmt::format("inode {}: an index entry covers file blocks {}..{} inside {}..{}",
                                 ino_, index.file_block, end, low, high),
                     ino_, node);
        continue;
      }
      if (index.zero != 0) {
        context_.Add(FindingCode::kExtentBad,
                     fmt::format("inode {}: reserved bytes of an index entry are not zero", ino_),
                     ino_, node);
      }
      Node(index.child, level - 1, begin, end);
    }
  }

  void Node(BlockNo block, unsigned level, uint64_t low, uint64_t high) {
    if (!ClaimNode(context_, ino_, block)) return;
    ++owned_;
    const auto& node = *reinterpret_cast<const ExtentNode*>(context_.Block(block).data());
    const BlockHeader& header = node.header;
    if (header.magic != kBlockMagic || header.self != block || header.owner != ino_ ||
        header.type != BlockType::kExtentNode || header.level != level || header.count == 0 ||
        header.count > kExtentsPerNode || header.heap_start != 0) {
      context_.Add(FindingCode::kNodeBad,
                   fmt::format("block {} of inode {}: not an extent node of level {} (magic {:#x}, "
                               "block {}, owner {}, type {}, level {}, {} entries)",
                               block, ino_, level, header.magic, header.self, header.owner,
                               static_cast<uint16_t>(header.type), header.level, header.count),
                   ino_, block);
      return;
    }
    const uint64_t before = context_.report.findings.errors();
    Entries(std::span(node.entries).first(header.count), level, low, high, block);
    if (context_.report.findings.errors() != before) return;
    // What the engine refuses is never clean.
    const NodePlace place{block, ino_, static_cast<uint16_t>(level), KeyRange{low, high}};
    if (const auto view = ExtentNodeView::Of(context_.Block(block), place, context_.geometry);
        !view) {
      context_.Add(FindingCode::kNodeBad, view.error().message, ino_, block);
    }
  }

  void Leaf(const Extent& extent, uint64_t low, uint64_t high, BlockNo node) {
    const auto bad = [&](FindingCode code, std::string_view what) {
      context_.Add(code,
                   fmt::format("inode {}: extent of {} blocks at file block {}, pool block {}: {}",
                               ino_, extent.length, extent.file_block, extent.pool_block, what),
                   ino_, node);
    };
    if (extent.length == 0 || extent.length > kMaxExtentBlocks) {
      return bad(FindingCode::kExtentBad, "its length is not allowed");
    }
    if ((extent.flags & ~kExtentUnwritten) != 0) {
      bad(FindingCode::kExtentBad, fmt::format("flags {:#x}", extent.flags));
    }
    if (extent.file_block < low || extent.file_block >= high ||
        extent.length > high - extent.file_block) {
      bad(FindingCode::kExtentOrderWrong, fmt::format("its node covers {}..{} only", low, high));
    }
    if (extent.file_block < next_) {
      bad(FindingCode::kExtentOrderWrong, fmt::format("the one before reaches {}", next_));
    }
    if (!context_.geometry.IsDataRange(extent.pool_block, extent.length)) {
      return bad(FindingCode::kExtentOutsideData, "outside the data area");
    }
    if (const auto twice = context_.owners->Claim(extent.pool_block, extent.length)) {
      bad(FindingCode::kBlockOwnedTwice, fmt::format("block {} has another owner", *twice));
    }
    owned_ += extent.length;
    if (extent.file_block <= kMaxFileBlocks) {
      const uint64_t end = extent.file_block + extent.length;
      next_ = std::max(next_, end);
      if ((extent.flags & kExtentUnwritten) == 0) {
        mapped_ += extent.length;
        if (end > size_blocks_ && !trimming_) {
          bad(FindingCode::kExtentBeyondSize,
              fmt::format("written beyond the end of file, {} blocks", size_blocks_));
        }
      }
    }
  }

  CheckContext& context_;
  Ino ino_;
  bool trimming_;  // an orphan: what lies beyond its size goes at the next mount
  uint64_t size_blocks_;
  uint64_t next_ = 0;  // file block behind the last extent
  uint64_t owned_ = 0;
  uint64_t mapped_ = 0;
};

uint64_t CheckSymlink(CheckContext& context, Ino ino, const InodeDisk& inode) {
  const auto bad = [&](std::string_view what) {
    context.Add(FindingCode::kSymlinkBad,
                fmt::format("inode {}: symbolic link of {} bytes {}", ino, inode.size, what), ino);
  };
  if ((inode.flags & kInodeInlineLink) != 0) {
    if (inode.size == 0 || inode.size > kInlineSymlinkMax) {
      bad("in the inode");
      return 0;
    }
    const std::span payload = std::span(inode.payload);
    if (std::memchr(payload.data(), 0, inode.size) != nullptr) bad("has a NUL in it");
    if (!IsAllZero(std::as_bytes(payload.subspan(inode.size)))) bad("is not padded with zeros");
    return 0;
  }
  ExtentTree tree(context, ino, inode);
  const uint64_t owned = tree.Check(*reinterpret_cast<const ExtentRoot*>(inode.payload.data()));
  const bool orphan = (inode.flags & kInodeOrphan) != 0;  // being freed: blocks may be gone
  if (!orphan && (inode.size == 0 || inode.size >= kBlockSize || tree.mapped_blocks() != 1)) {
    bad(fmt::format("has {} written blocks", tree.mapped_blocks()));
  }
  return owned;
}

void CheckNoTree(CheckContext& context, Ino ino, const InodeDisk& inode, bool device) {
  const auto payload = std::as_bytes(std::span(inode.payload));
  if (!IsAllZero(device ? payload.subspan(sizeof(uint32_t)) : payload)) {
    context.Add(FindingCode::kPayloadBad,
                fmt::format("inode {}: unused payload is not all zero", ino), ino);
  }
}

}  // namespace

bool CheckExtents(CheckContext& context) {
  context.ForEachInode("extents", [&](Ino ino) {
    const uint8_t type = context.inodes->Get(ino).type;
    if (type == DT_UNKNOWN || type == DT_DIR) return;
    const InodeDisk& inode = context.Inode(ino);
    uint64_t owned = 0;
    if (type == DT_REG) {
      owned = ExtentTree(context, ino, inode)
                  .Check(*reinterpret_cast<const ExtentRoot*>(inode.payload.data()));
    } else if (type == DT_LNK) {
      owned = CheckSymlink(context, ino, inode);
    } else {
      CheckNoTree(context, ino, inode, type == DT_CHR || type == DT_BLK);
    }
    owned += inode.xattr_block != 0 ? 1 : 0;  // claimed in phase "attributes"
    if (owned != inode.blocks) {
      context.Add(FindingCode::kBlockCountWrong,
                  fmt::format("inode {}: says {} blocks, owns {}", ino, inode.blocks, owned), ino);
    }
  });
  return true;
}

}  // namespace mirdax::fsck
