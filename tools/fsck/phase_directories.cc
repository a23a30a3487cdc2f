// SPDX-License-Identifier: BSD-2-Clause
// Directories: their trees, their names, and what the names point to.
#include <dirent.h>

#include <string_view>
#include <vector>

#include "fs/format/checksums.h"
#include "fs/format/dir_hash.h"
#include "tools/common/dir_walk.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

class DirectoryCheck {
 public:
  DirectoryCheck(CheckContext& context, Ino ino)
      : context_(context), ino_(ino), inode_(context.Inode(ino)) {}

  void Run() {
    const DirRoot& root = DirRootOf(inode_);
    if (!IsAllZero(std::as_bytes(std::span(root.zero)))) {
      Bad(FindingCode::kPayloadBad, "unused payload is not all zero");
    }
    bool whole = true;
    if (root.root != 0) {
      DirWalk walk(
          context_.region, context_.geometry,
          [&](BlockNo block) {
            const bool usable = ClaimNode(context_, ino_, block);
            nodes_ += usable ? 1 : 0;
            whole = whole && usable;
            return usable;
          },
          [&](BlockNo block, const Error& error) {
            Bad(FindingCode::kNodeBad, error.message, block);
            whole = false;
          },
          [&](const DirEntryView& entry, BlockNo leaf) {
            Entry(entry, leaf);
            return true;
          });
      walk.Run(ino_, root.root);
    }
    if (whole) CheckTotals(root);
  }

 private:
  void Bad(FindingCode code, std::string_view text, BlockNo block = 0) {
    context_.Add(code, fmt::format("directory {}: {}", ino_, text), ino_, block);
  }

  void CheckTotals(const DirRoot& root) {
    if (root.entry_count != entries_) {
      Bad(FindingCode::kDirCountWrong,
          fmt::format("says {} names, has {}", root.entry_count, entries_));
    }
    if (inode_.size != nodes_ * kBlockSize) {
      Bad(FindingCode::kDirSizeWrong,
          fmt::format("size is {}, its tree has {} blocks", inode_.size, nodes_));
    }
    const uint64_t owned = nodes_ + (inode_.xattr_block != 0 ? 1 : 0);
    if (inode_.blocks != owned) {
      Bad(FindingCode::kBlockCountWrong,
          fmt::format("says {} blocks, owns {}", inode_.blocks, owned));
    }
    if (inode_.nlink == 0 && entries_ != 0) {
      Bad(FindingCode::kOrphanWrong, fmt::format("removed, but has {} names", entries_));
    }
  }

  void Entry(const DirEntryView& entry, BlockNo leaf) {
    ++entries_;
    CheckKey(entry, leaf);
    const auto bad = [&](FindingCode code, std::string_view what) {
      Bad(code, fmt::format("entry '{}' (inode {}) {}", Printable(entry.name), entry.ino, what),
          leaf);
    };
    if (!context_.InUse(entry.ino)) return bad(FindingCode::kDirDangling, "points to a free inode");
    InodeState& target = (*context_.inodes)[entry.ino];
    if (target.type == DT_UNKNOWN) return bad(FindingCode::kDirDangling, "points to a bad inode");
    ++target.names;
    if (entry.type != target.type) {
      bad(FindingCode::kDirTypeWrong,
          fmt::format("has type {}, the inode {}", entry.type, target.type));
    }
    if (target.type != DT_DIR) return;
    ++(*context_.inodes)[ino_].subdirectories;
    if (entry.ino == kRootIno) return bad(FindingCode::kDirLoop, "points to the root");
    if (const Ino parent = context_.Inode(entry.ino).parent; parent != ino_) {
      bad(FindingCode::kDirParentWrong,
          fmt::format("is a directory whose parent is inode {}", parent));
    }
  }

  void CheckKey(const DirEntryView& entry, BlockNo leaf) {
    const auto bad = [&](FindingCode code, std::string_view what) {
      Bad(code, fmt::format("entry '{}' with key {:#x} {}", Printable(entry.name), entry.key, what),
          leaf);
    };
    if (entry.key <= last_key_) {
      bad(FindingCode::kDirOrderWrong, fmt::format("follows key {:#x}", last_key_));
    }
    last_key_ = entry.key;
    const DirKey group = entry.key / kDirCollisions * kDirCollisions;
    if (const DirKey hash = DirHash(context_.report.superblock.hash_seed, entry.name);
        hash != group) {
      bad(FindingCode::kDirHashWrong, fmt::format("should have one from {:#x} on", hash));
    }
    // Equal names have equal hashes, so they lie side by side, at most kDirCollisions of them.
    if (group != group_) {
      group_ = group;
      group_names_.clear();
    }
    if (std::find(group_names_.begin(), group_names_.end(), entry.name) != group_names_.end()) {
      bad(FindingCode::kDirNameTwice, "has a name that is there already");
    }
    if (group_names_.size() < kDirCollisions) group_names_.push_back(entry.name);
  }

  CheckContext& context_;
  const Ino ino_;
  const InodeDisk& inode_;
  uint64_t nodes_ = 0;
  uint64_t entries_ = 0;
  DirKey last_key_ = 0;
  DirKey group_ = 0;
  std::vector<std::string_view> group_names_;
};

}  // namespace

bool CheckDirectories(CheckContext& context) {
  context.ForEachInode("directories", [&](Ino ino) {
    if (context.inodes->Get(ino).type != DT_DIR) return;
    ++context.report.directories;
    DirectoryCheck(context, ino).Run();
  });
  return true;
}

}  // namespace mirdax::fsck
