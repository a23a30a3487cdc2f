// SPDX-License-Identifier: BSD-2-Clause
// Blocks of extended attributes.
#include <dirent.h>

#include <set>
#include <utility>

#include "fs/format/node_views.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

void CheckBlock(CheckContext& context, Ino ino, const InodeDisk& inode) {
  const auto bad = [&](FindingCode code, std::string_view text) {
    context.Add(code, fmt::format("inode {}: attribute block {}: {}", ino, inode.xattr_block, text),
                ino, inode.xattr_block);
  };
  const auto view = XattrBlockView::Of(context.Block(inode.xattr_block), inode.xattr_block, ino);
  if (!view) return bad(FindingCode::kXattrBad, view.error().message);
  const bool directory = context.inodes->Get(ino).type == DT_DIR;
  std::set<std::pair<XattrNamespace, std::string_view>> names;
  view->ForEach([&](const XattrView& entry) {
    if (!names.emplace(entry.space, entry.name).second) {
      bad(FindingCode::kXattrBad, fmt::format("'{}' is there twice", Printable(entry.name)));
    }
    if (entry.space == XattrNamespace::kAclDefault && !directory) {
      bad(FindingCode::kXattrBad, "a default ACL, but no directory");
    }
    return true;
  });
  if (names.empty()) bad(FindingCode::kXattrBad, "empty");
}

}  // namespace

bool CheckXattrs(CheckContext& context) {
  context.ForEachInode("attributes", [&](Ino ino) {
    if (context.inodes->Get(ino).type == DT_UNKNOWN) return;
    const InodeDisk& inode = context.Inode(ino);
    if (inode.xattr_block != 0 && ClaimNode(context, ino, inode.xattr_block)) {
      CheckBlock(context, ino, inode);
    }
  });
  return true;
}

}  // namespace mirdax::fsck
