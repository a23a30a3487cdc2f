// SPDX-License-Identifier: BSD-2-Clause
// Finds names for the inodes that findings are about: only when there are findings.
#include <dirent.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "tools/common/dir_walk.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

class PathFinder {
 public:
  explicit PathFinder(CheckContext& context)
      : context_(context), budget_(kMinBudget + 2 * context.geometry.data_blocks) {}

  void Run() {
    for (const Finding& finding : context_.report.findings.kept()) {
      if (finding.ino != 0) names_.try_emplace(finding.ino);
    }
    if (names_.empty()) return;
    // One pass over all directories names whatever findings are about.
    context_.ForEachInode("paths", [&](Ino dir) {
      if (!IsDirectory(dir)) return;
      ForEachEntry(dir, [&](const DirEntryView& entry) {
        const auto found = names_.find(entry.ino);
        if (found != names_.end() && !found->second) {
          found->second.emplace(dir, std::string(entry.name));
        }
        return true;
      });
    });
    for (Finding& finding : context_.report.findings.kept()) {
      if (finding.ino != 0) finding.path = PathOf(finding.ino);
    }
  }

 private:
  using Name = std::pair<Ino, std::string>;  // directory, name in it

  bool IsDirectory(Ino ino) {
    return ino < context_.geometry.inode_count && context_.inodes->Get(ino).type == DT_DIR;
  }

  template <typename Visit>
  void ForEachEntry(Ino dir, const Visit& visit) {
    const BlockNo root = DirRootOf(context_.Inode(dir)).root;
    if (root == 0) return;
    DirWalk walk(
        context_.region, context_.geometry,
        [&](BlockNo block) {
          return context_.geometry.IsDataRange(block, 1) && budget_ > 0 && budget_-- > 0;
        },
        [](BlockNo, const Error&) {},
        [&](const DirEntryView& entry, BlockNo) { return visit(entry); });
    walk.Run(dir, root);
  }

  // The name of a directory above a finding: sought in its parent alone, and remembered.
  const std::optional<Name>& NameOf(Ino ino) {
    const auto found = names_.try_emplace(ino);
    std::optional<Name>& name = found.first->second;
    if (!found.second || !IsDirectory(ino)) return name;
    const Ino parent = context_.Inode(ino).parent;
    if (!IsDirectory(parent)) return name;
    ForEachEntry(parent, [&](const DirEntryView& entry) {
      if (entry.ino != ino) return true;
      name.emplace(parent, std::string(entry.name));
      return false;
    });
    return name;
  }

  // "" when it does not lead to the root.
  std::string PathOf(Ino ino) {
    if (ino == kRootIno) return "/";
    std::string path;
    for (Ino at = ino; at != kRootIno;) {
      const std::optional<Name>& name = NameOf(at);
      if (!name || path.size() > kMaxPath) return {};
      path.insert(0, "/" + Printable(name->second));
      at = name->first;
    }
    return path;
  }

  static constexpr size_t kMaxPath = 16384;
  static constexpr uint64_t kMinBudget = 65536;

  CheckContext& context_;
  std::map<Ino, std::optional<Name>> names_;
  uint64_t budget_;  // nodes to visit: shared subtrees of a hostile pool cost no more
};

}  // namespace

void ResolvePaths(CheckContext& context) { PathFinder(context).Run(); }

}  // namespace mirdax::fsck
