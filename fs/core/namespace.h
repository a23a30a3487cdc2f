// SPDX-License-Identifier: BSD-2-Clause
// Names: makes, finds, links and removes them. Renaming is in renamer.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fs/core/file_reader.h"
#include "fs/core/reaper.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// Every operation reads and checks everything under its locks, then changes it in one transaction:
// whole or absent after a crash.
//
// Threads: every method by any. Locks: the directory's, then the inode's (transaction.h).
class Namespace {
 public:
  Namespace(VolumeContext& volume, Reaper& reaper, FileReader& reader)
      : volume_(volume), reaper_(reaper), reader_(reader) {}

  Result<Attributes> Lookup(Ino parent, std::string_view name);
  // A file of any type but a symlink or a directory; rdev for devices.
  Result<Attributes> MakeNode(Ino parent, std::string_view name, uint32_t mode, uint32_t rdev,
                              const Caller& caller);
  Result<Attributes> MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                   const Caller& caller);
  Result<Attributes> MakeSymlink(Ino parent, std::string_view name, std::string_view target,
                                 const Caller& caller);
  Result<Attributes> OpenTemporary(Ino parent, uint32_t mode, const Caller& caller);
  Result<Attributes> Link(Ino ino, Ino new_parent, std::string_view new_name);
  Status Unlink(Ino parent, std::string_view name);
  Status RemoveDirectory(Ino parent, std::string_view name);
  Result<std::string> ReadLink(Ino ino);
  Status ReadDirectory(Ino ino, uint64_t cookie, bool attributes, const Volume::Emit& emit);

 private:
  struct NewInode;  // what a new inode starts from

  Result<Attributes> Make(Ino parent, const std::optional<std::string_view>& name, NewInode fresh,
                          const Caller& caller);
  Result<Attributes> MakeIn(Inode& parent, const std::optional<std::string_view>& name,
                            NewInode& fresh, const Caller& caller) MIRDAX_REQUIRES(parent.mutex);
  Status InheritFrom(const Inode& parent, NewInode& fresh, const Caller& caller)
      MIRDAX_REQUIRES_SHARED(parent.mutex);
  Status StoreNew(Tx& tx, InodeDisk& parent, const std::optional<std::string_view>& name,
                  const NewInode& fresh, InodeDisk& disk);
  Status ReserveTarget(NewInode& fresh);
  // Removes a name; `directory`: it must be an empty directory, else it must not be one.
  Status Remove(Ino parent, std::string_view name, bool directory);
  Status RemoveLocked(Inode& parent, Inode& child, std::string_view name, bool directory)
      MIRDAX_REQUIRES(parent.mutex, child.mutex);

  VolumeContext& volume_;
  Reaper& reaper_;
  FileReader& reader_;
};

// kNameTooLong, kInvalid ('/', NUL, empty), kExists ("." and "..": they always do).
Status CheckNewName(std::string_view name);
// kNotFound when it was removed, kNotDirectory.
Status CheckDirectory(const Inode& dir) MIRDAX_REQUIRES_SHARED(dir.mutex);

}  // namespace mirdax
