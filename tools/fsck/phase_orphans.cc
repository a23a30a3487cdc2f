// SPDX-License-Identifier: BSD-2-Clause
// The orphan bitmap against the flags of the inodes.
#include <dirent.h>

#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

void CheckOrphan(CheckContext& context, Ino ino, bool in_use, bool bit) {
  const auto bad = [&](std::string_view what) {
    context.Add(FindingCode::kOrphanWrong, fmt::format("inode {}: {}", ino, what), ino);
  };
  if (!in_use) {
    if (bit) bad("marked an orphan, but not in use");
    return;
  }
  const uint8_t type = context.inodes->Get(ino).type;
  if (type == DT_UNKNOWN) return;  // a bad inode: said already
  const InodeDisk& inode = context.Inode(ino);
  const bool flag = (inode.flags & kInodeOrphan) != 0;
  context.report.orphans += bit ? 1 : 0;
  if (bit && !flag) bad("an orphan in the bitmap, not by its flag");
  if (!bit && flag) bad("an orphan by its flag, not in the bitmap");
  if (flag && inode.nlink != 0 && type != DT_REG) bad("an orphan with links, and no regular file");
}

}  // namespace

bool CheckOrphans(CheckContext& context) {
  const Geometry& geometry = context.geometry;
  const uint64_t words = geometry.orphan_bitmap.length / sizeof(uint64_t);
  for (uint64_t i = 0; i < words; ++i) {
    if (i % 1024 == 0) context.Progress("orphans", i, words);
    const uint64_t orphans = context.BitmapWord(geometry.orphan_bitmap, i);
    const uint64_t used = context.InodesInUse(i);
    for (uint64_t either = orphans | used; either != 0; either &= either - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(either));
      const Ino ino = i * 64 + bit;
      if (ino == 0 || ino >= geometry.inode_count) {
        if (((orphans >> bit) & 1) != 0) {
          context.Add(
              FindingCode::kOrphanWrong,
              fmt::format("bit {} of the orphan bitmap is set: there is no such inode", ino));
        }
        continue;
      }
      CheckOrphan(context, ino, ((used >> bit) & 1) != 0, ((orphans >> bit) & 1) != 0);
    }
  }
  return true;
}

}  // namespace mirdax::fsck
