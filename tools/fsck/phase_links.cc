// SPDX-License-Identifier: BSD-2-Clause
// Link counts, and that every directory hangs on the root by exactly one name.
#include <dirent.h>

#include <vector>

#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

// Follows ".." from `ino` to the root or to a directory that is judged already. Every directory is
// on one such walk only, so all of them together are linear.
void Connect(CheckContext& context, Ino ino) {
  InodeStates& inodes = *context.inodes;
  std::vector<Ino> chain;
  Reach end = Reach::kLost;
  for (Ino at = ino;; at = context.Inode(at).parent) {
    const bool usable = at < context.geometry.inode_count && inodes.Get(at).type == DT_DIR;
    if (!usable) break;
    InodeState& state = inodes[at];
    if (state.reach == Reach::kOnChain) {
      context.Add(
          FindingCode::kDirLoop,
          fmt::format("directory {} is its own ancestor: it cannot be reached from the root", at),
          at);
      break;
    }
    if (state.reach != Reach::kUnknown) {
      end = state.reach;
      break;
    }
    state.reach = Reach::kOnChain;
    chain.push_back(at);
    if (at == kRootIno) {
      end = Reach::kConnected;
      break;
    }
    if (state.names == 0) {
      // A removed directory that is still open has no name and nothing in it.
      if (context.Inode(at).nlink != 0) {
        context.Add(FindingCode::kDirUnreachable,
                    fmt::format("directory {} has no name: it cannot be reached from the root", at),
                    at);
      }
      break;
    }
  }
  for (const Ino at : chain) inodes[at].reach = end;
}

void CheckDirectory(CheckContext& context, Ino ino, const InodeState& state, uint32_t nlink) {
  if (state.names > 1) {
    context.Add(FindingCode::kDirTwoNames,
                fmt::format("directory {} has {} names", ino, state.names), ino);
  }
  const bool removed = nlink == 0 && state.names == 0 && ino != kRootIno;
  const uint32_t wanted = removed ? 0 : 2 + state.subdirectories;
  if (nlink != wanted) {
    context.Add(FindingCode::kLinkCountWrong,
                fmt::format("directory {}: link count is {}, should be {}", ino, nlink, wanted),
                ino);
  }
}

void CheckOther(CheckContext& context, Ino ino, const InodeState& state, uint32_t nlink) {
  if (nlink == state.names) return;
  if (state.names == 0) {
    context.Add(FindingCode::kInodeUnattached,
                fmt::format("inode {}: link count is {}, but it has no name", ino, nlink), ino);
    return;
  }
  context.Add(
      FindingCode::kLinkCountWrong,
      fmt::format("inode {}: link count is {}, but it has {} names", ino, nlink, state.names), ino);
}

}  // namespace

bool CheckLinks(CheckContext& context) {
  context.ForEachInode("links", [&](Ino ino) {
    const InodeState state = context.inodes->Get(ino);
    if (state.type == DT_UNKNOWN) return;
    const uint32_t nlink = context.Inode(ino).nlink;
    if (state.type == DT_DIR) {
      CheckDirectory(context, ino, state, nlink);
      if (state.reach == Reach::kUnknown) Connect(context, ino);
    } else {
      CheckOther(context, ino, state, nlink);
    }
  });
  return true;
}

}  // namespace mirdax::fsck
