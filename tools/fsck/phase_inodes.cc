// SPDX-License-Identifier: BSD-2-Clause
// The inode table, each inode by itself.
#include <dirent.h>
#include <sys/stat.h>

#include "fs/format/checksums.h"
#include "fs/format/node_views.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

constexpr uint32_t kKnownFlags = kInodeOrphan | kInodeInlineLink;

// Fields that need only the inode to be judged. Returns false when it cannot be used further.
bool CheckSlot(CheckContext& context, Ino ino, const InodeDisk& inode) {
  const auto bad = [&](FindingCode code, std::string text) {
    context.Add(code, fmt::format("inode {}: {}", ino, text), ino);
  };
  if (inode.magic != kInodeMagic) {
    bad(FindingCode::kInodeMissing,
        fmt::format("marked in use, but its slot has magic {:#x}", inode.magic));
    return false;
  }
  if (!IsSealed(inode)) {
    bad(FindingCode::kInodeChecksumBad, "the checksum does not match");
  }
  if (inode.ino != ino) {
    bad(FindingCode::kInodeNumberWrong, fmt::format("says that it is inode {}", inode.ino));
    return false;
  }
  const uint8_t type = TypeOfMode(inode.mode);
  if (type == DT_UNKNOWN || (inode.mode & ~uint32_t{S_IFMT | 07777}) != 0) {
    bad(FindingCode::kInodeModeBad, fmt::format("mode {:#o} means nothing", inode.mode));
    if (type == DT_UNKNOWN) return false;
  }
  const auto field = [&](bool ok, std::string_view name, auto value) {
    if (!ok) bad(FindingCode::kInodeFieldBad, fmt::format("{} is {}", name, value));
  };
  field((inode.flags & ~kKnownFlags) == 0, "flags", inode.flags);
  field((inode.flags & kInodeInlineLink) == 0 || type == DT_LNK, "flags", inode.flags);
  field(inode.zero == 0, "a reserved field", inode.zero);
  field(inode.nlink <= kMaxLinks || type == DT_DIR, "nlink", inode.nlink);
  field(inode.size <= kMaxFileSize, "size", inode.size);
  for (const uint32_t nanoseconds : inode.nanoseconds) {
    field(nanoseconds < 1'000'000'000, "a time's nanoseconds", nanoseconds);
  }
  if (type == DT_DIR) {
    field(inode.nlink == 0 || context.InUse(inode.parent), "parent", inode.parent);
  } else {
    field(inode.parent == 0, "parent (of no directory)", inode.parent);
    const bool sized = type == DT_REG || type == DT_LNK;
    field(sized || inode.size == 0, "size (of neither file nor symbolic link)", inode.size);
  }
  if (inode.nlink == 0 && (inode.flags & kInodeOrphan) == 0) {
    bad(FindingCode::kInodeLinksZero, "in use with link count 0, and not an orphan");
  }
  return true;
}

// Free slots beside used ones: a slot that was freed has no magic. (Not the whole table: that of a
// large sparse pool would take minutes to read, and its slots are judged when they are used.)
void CheckFreeSlots(CheckContext& context) {
  const uint64_t words = context.geometry.inode_count / 64;
  for (uint64_t i = 0; i < words; ++i) {
    const uint64_t used = context.BitmapWord(context.geometry.inode_bitmap, i);
    if (used == 0) continue;
    for (uint64_t free = ~used; free != 0; free &= free - 1) {
      const Ino ino = i * 64 + static_cast<unsigned>(std::countr_zero(free));
      if (ino == 0 || context.Inode(ino).magic == 0) continue;
      context.Add(FindingCode::kInodeSlotNotEmpty,
                  fmt::format("inode {} is free, but its slot has magic {:#x}", ino,
                              context.Inode(ino).magic),
                  ino);
    }
  }
}

void CheckRoot(CheckContext& context) {
  const bool usable = context.InUse(kRootIno) && (*context.inodes)[kRootIno].type == DT_DIR;
  if (!usable) {
    context.Add(FindingCode::kRootBad, "inode 1, the root, is no usable directory", kRootIno);
    return;
  }
  const InodeDisk& root = context.Inode(kRootIno);
  if (root.parent != kRootIno) {
    context.Add(FindingCode::kRootBad,
                fmt::format("the root's parent is inode {}, not itself", root.parent), kRootIno);
  }
  if ((root.flags & kInodeOrphan) != 0 || root.nlink == 0) {
    context.Add(FindingCode::kRootBad, "the root is an orphan", kRootIno);
  }
}

}  // namespace

bool CheckInodes(CheckContext& context) {
  context.ForEachInode("inodes", [&](Ino ino) {
    ++context.report.inodes_in_use;
    const InodeDisk& inode = context.Inode(ino);
    const uint64_t before = context.report.findings.errors();
    const bool usable = CheckSlot(context, ino, inode);
    // What the engine refuses is never clean.
    if (context.report.findings.errors() == before) {
      if (const Status status = CheckInode(inode, ino, context.geometry); !status) {
        context.Add(FindingCode::kInodeFieldBad, status.error().message, ino);
      }
    }
    if (usable) (*context.inodes)[ino].type = TypeOfMode(inode.mode);
  });
  CheckFreeSlots(context);
  if (!IsAllZero(BytesOf(context.Inode(0)))) {
    context.Add(FindingCode::kInodeSlotNotEmpty, "slot 0 of the inode table is not all zero");
  }
  CheckRoot(context);
  return true;
}

}  // namespace mirdax::fsck
