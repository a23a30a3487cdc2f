// SPDX-License-Identifier: BSD-2-Clause
// rename(2), with RENAME_NOREPLACE and RENAME_EXCHANGE.
#pragma once

#include <string_view>
#include <vector>

#include "fs/core/reaper.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// One transaction: no crash shows both names or none.
//
// Threads: Rename() by any.
// Locks: the rename mutex for renames between directories, and of two subdirectories of one (else
//        X then its sibling Y here, Y then its child Z in a removal, and Z then X in a rename
//        between directories could wait for each other). Under it no directory's parent changes, so
//        "is this an ancestor" stays true. Then the two directories (an ancestor first, else by
//        number), then the two inodes by number; neither of these can be one of the directories or
//        an ancestor of one (checked before they are locked).
class Renamer {
 public:
  Renamer(VolumeContext& volume, Reaper& reaper) : volume_(volume), reaper_(reaper) {}

  Status Rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags) MIRDAX_EXCLUDES(rename_mutex_);

 private:
  struct Place {
    Inode* dir = nullptr;
    std::string_view name;
    std::vector<Ino> ancestors;  // of `dir`, itself included; empty for renames within one
  };
  struct Outcome {
    TxId transaction = 0;
    Ino replaced = 0;                 // lost a link
    bool needs_rename_mutex = false;  // nothing was done: two subdirectories of one directory
  };

  // `dir` and everything above it.
  Result<std::vector<Ino>> Ancestors(Ino dir) MIRDAX_REQUIRES(rename_mutex_);
  Status RenameBetween(Place& from, Place& to, uint32_t flags, Outcome& outcome)
      MIRDAX_EXCLUDES(rename_mutex_);
  // Both directories are locked exclusively.
  Status RenameLocked(const Place& from, const Place& to, uint32_t flags, bool have_rename_mutex,
                      Outcome& outcome);
  Status CheckKinds(const Place& from, const Place& to, const Inode& source, const Inode* target,
                    bool exchange);
  Status Move(const Place& from, const Place& to, Inode& source, Inode* target, Outcome& outcome);
  Status Exchange(const Place& from, const Place& to, Inode& source, Inode& target,
                  Outcome& outcome);

  VolumeContext& volume_;
  Reaper& reaper_;
  Mutex rename_mutex_;
};

}  // namespace mirdax
