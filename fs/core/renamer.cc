// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/renamer.h"

#include <linux/fs.h>

#include <algorithm>
#include <optional>

#include "fs/core/namespace.h"

namespace mirdax {
namespace {

constexpr uint32_t kRenameCredits = 2 * kDirectoryCredits + 4 * kInodeCredits + kOrphanCredits;
// Deeper than any path can be walked; a loop in a damaged pool ends here.
constexpr size_t kMaxDepth = 65536;

// Locks up to two inodes exclusively, in the order given; either may be null.
class TwoLocks {
 public:
  TwoLocks(Inode* first, Inode* second) MIRDAX_NO_THREAD_SAFETY_ANALYSIS
      : first_(first),
        second_(second == first ? nullptr : second) {
    if (first_ != nullptr) first_->mutex.lock();
    if (second_ != nullptr) second_->mutex.lock();
  }
  ~TwoLocks() MIRDAX_NO_THREAD_SAFETY_ANALYSIS {
    if (second_ != nullptr) second_->mutex.unlock();
    if (first_ != nullptr) first_->mutex.unlock();
  }
  TwoLocks(const TwoLocks&) = delete;
  TwoLocks& operator=(const TwoLocks&) = delete;

 private:
  Inode* const first_;
  Inode* const second_;
};

bool Contains(const std::vector<Ino>& list, Ino ino) {
  return std::find(list.begin(), list.end(), ino) != list.end();
}

}  // namespace

Result<std::vector<Ino>> Renamer::Ancestors(Ino dir) {
  std::vector<Ino> chain{dir};
  while (chain.back() != kRootIno) {
    MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(chain.back()));
    ReadLock lock(inode->mutex);
    if (!IsDirectory(inode->disk)) return Fail(ErrorCode::kNotDirectory);
    if (inode->freed || inode->disk.nlink == 0) return Fail(ErrorCode::kNotFound);
    if (inode->disk.parent == 0 || chain.size() > kMaxDepth) {
      return Fail(ErrorCode::kCorrupt, "directory {} has no way up to the root", dir);
    }
    chain.push_back(inode->disk.parent);
  }
  return chain;
}

Status Renamer::CheckKinds(const Place& from, const Place& to, const Inode& source,
                           const Inode* target, bool exchange) {
  source.AssertLocked();
  from.dir->AssertLocked();
  to.dir->AssertLocked();
  if (source.freed) return Fail(ErrorCode::kCorrupt, "a name leads to a free inode");
  const bool moves_directory = IsDirectory(source.disk);
  bool target_directory = false;
  if (target != nullptr) {
    target->AssertLocked();
    if (target->freed) return Fail(ErrorCode::kCorrupt, "a name leads to a free inode");
    target_directory = IsDirectory(target->disk);
    if (!exchange) {
      if (moves_directory && !target_directory) return Fail(ErrorCode::kNotDirectory);
      if (!moves_directory && target_directory) return Fail(ErrorCode::kIsDirectory);
      if (target_directory && Directory::EntryCount(target->disk) != 0) {
        return Fail(ErrorCode::kNotEmpty);
      }
    }
  }
  return {};
}

Status Renamer::Move(const Place& from, const Place& to, Inode& source, Inode* target,
                     Outcome& outcome) {
  from.dir->AssertLocked();
  to.dir->AssertLocked();
  source.AssertLocked();
  const bool moves_directory = IsDirectory(source.disk);
  const uint8_t type = DirentType(source.disk.mode);

  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kRenameCredits));
  if (target != nullptr) {
    MIRDAX_TRY(volume_.directory.Replace(tx, to.dir->disk, to.name, source.ino, type));
  } else {
    MIRDAX_TRY(volume_.directory.Insert(tx, to.dir->disk, to.name, source.ino, type));
  }
  const Result<DirSlot> gone = volume_.directory.Remove(tx, from.dir->disk, from.name);
  MIRDAX_TRY(volume_.OrAbort(tx, gone ? Status() : Status(Fail(gone.error()))));
  volume_.freed.store(true);

  volume_.Touch(from.dir->disk, {kMtime, kCtime});
  volume_.Touch(to.dir->disk, {kMtime, kCtime});
  volume_.Touch(source.disk, {kCtime});
  if (moves_directory) {
    if (from.dir->disk.nlink > 2) --from.dir->disk.nlink;
    ++to.dir->disk.nlink;
    source.disk.parent = to.dir->ino;
  }
  if (target != nullptr) {
    target->AssertLocked();
    volume_.Touch(target->disk, {kCtime});
    if (moves_directory) {
      target->disk.nlink = 0;
      if (to.dir->disk.nlink > 2) --to.dir->disk.nlink;
    } else if (target->disk.nlink > 0) {
      --target->disk.nlink;
    }
    if (target->disk.nlink == 0) {
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Add(tx, target->disk)));
      reaper_.Doom(target->ino);
      outcome.replaced = target->ino;
    }
    MIRDAX_TRY(volume_.WriteInode(tx, *target));
  }
  outcome.transaction = tx.id();
  MIRDAX_TRY(volume_.WriteInode(tx, source));
  MIRDAX_TRY(volume_.WriteInode(tx, *from.dir));
  if (to.dir != from.dir) MIRDAX_TRY(volume_.WriteInode(tx, *to.dir));
  return {};
}

Status Renamer::Exchange(const Place& from, const Place& to, Inode& source, Inode& target,
                         Outcome& outcome) {
  from.dir->AssertLocked();
  to.dir->AssertLocked();
  source.AssertLocked();
  target.AssertLocked();
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kRenameCredits));
  MIRDAX_TRY(volume_.directory.Replace(tx, to.dir->disk, to.name, source.ino,
                                       DirentType(source.disk.mode)));
  const Result<DirSlot> other = volume_.directory.Replace(tx, from.dir->disk, from.name, target.ino,
                                                          DirentType(target.disk.mode));
  MIRDAX_TRY(volume_.OrAbort(tx, other ? Status() : Status(Fail(other.error()))));

  for (Inode* inode : {&source, &target, from.dir, to.dir}) {
    inode->AssertLocked();
    volume_.Touch(inode->disk, {kCtime});
  }
  volume_.Touch(from.dir->disk, {kMtime});
  volume_.Touch(to.dir->disk, {kMtime});
  if (from.dir != to.dir) {
    const auto move_up = [](Inode& moved, Inode& old_dir, Inode& new_dir) {
      moved.AssertLocked();
      old_dir.AssertLocked();
      new_dir.AssertLocked();
      if (!IsDirectory(moved.disk)) return;
      moved.disk.parent = new_dir.ino;
      ++new_dir.disk.nlink;
      if (old_dir.disk.nlink > 2) --old_dir.disk.nlink;
    };
    move_up(source, *from.dir, *to.dir);
    move_up(target, *to.dir, *from.dir);
  }
  outcome.transaction = tx.id();
  MIRDAX_TRY(volume_.WriteInode(tx, source));
  MIRDAX_TRY(volume_.WriteInode(tx, target));
  MIRDAX_TRY(volume_.WriteInode(tx, *from.dir));
  if (to.dir != from.dir) MIRDAX_TRY(volume_.WriteInode(tx, *to.dir));
  return {};
}

Status Renamer::RenameLocked(const Place& from, const Place& to, uint32_t flags,
                             bool have_rename_mutex, Outcome& outcome) {
  from.dir->AssertLocked();
  to.dir->AssertLocked();
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  MIRDAX_TRY(CheckDirectory(*from.dir));
  MIRDAX_TRY(CheckDirectory(*to.dir));
  MetaReader& reader = *volume_.transactions;
  MIRDAX_ASSIGN(const DirSlot source_slot,
                volume_.directory.Lookup(reader, from.dir->disk, from.name));
  const Result<DirSlot> target_slot = volume_.directory.Lookup(reader, to.dir->disk, to.name);
  if (!target_slot && target_slot.error().code != ErrorCode::kNotFound) {
    return Fail(target_slot.error());
  }
  if (target_slot && (flags & RENAME_NOREPLACE) != 0) return Fail(ErrorCode::kExists);
  if (!target_slot && exchange) return Fail(ErrorCode::kNotFound);

  // A directory cannot move below itself; a directory that holds the source is not empty.
  if (source_slot.ino == to.dir->ino || Contains(to.ancestors, source_slot.ino)) {
    return Fail(ErrorCode::kInvalid);
  }
  if (target_slot &&
      (target_slot->ino == from.dir->ino || Contains(from.ancestors, target_slot->ino))) {
    return Fail(exchange ? ErrorCode::kInvalid : ErrorCode::kNotEmpty);
  }
  if (source_slot.ino == from.dir->ino || (target_slot && target_slot->ino == to.dir->ino)) {
    return Fail(ErrorCode::kCorrupt, "a directory contains itself");
  }
  if (target_slot && target_slot->ino == source_slot.ino) {  // two links to one inode
    outcome.transaction = from.dir->last_transaction;
    return {};
  }

  constexpr uint8_t kDirType = 4;  // DT_DIR
  const bool source_directory = source_slot.type == kDirType;
  const bool target_directory = target_slot && target_slot->type == kDirType;
  if (source_directory && target_directory && !have_rename_mutex) {
    outcome.needs_rename_mutex = true;
    return {};
  }

  MIRDAX_ASSIGN(const InodeRef source, volume_.Get(source_slot.ino));
  InodeRef target;
  if (target_slot) {
    MIRDAX_ASSIGN(target, volume_.Get(target_slot->ino));
  }
  // A directory before a file, which may have another link in that directory; else by number.
  bool source_first = !target || source->ino < target->ino;
  if (target && source_directory != target_directory) source_first = source_directory;
  TwoLocks locks(source_first ? source.get() : target.get(),
                 source_first ? target.get() : source.get());
  MIRDAX_TRY(CheckKinds(from, to, *source, target.get(), exchange));
  if (exchange) return Exchange(from, to, *source, *target, outcome);
  return Move(from, to, *source, target.get(), outcome);
}

Status Renamer::RenameBetween(Place& from, Place& to, uint32_t flags, Outcome& outcome) {
  outcome = {};  // of an earlier attempt
  if (from.dir == to.dir) {
    {
      TwoLocks lock(from.dir, nullptr);
      Status done = RenameLocked(from, to, flags, false, outcome);
      if (!outcome.needs_rename_mutex) return done;
    }
    MutexLock rename_lock(rename_mutex_);
    TwoLocks lock(from.dir, nullptr);
    return RenameLocked(from, to, flags, true, outcome);
  }
  MutexLock rename_lock(rename_mutex_);
  MIRDAX_ASSIGN(from.ancestors, Ancestors(from.dir->ino));
  MIRDAX_ASSIGN(to.ancestors, Ancestors(to.dir->ino));
  bool from_first = from.dir->ino < to.dir->ino;
  if (Contains(to.ancestors, from.dir->ino)) from_first = true;
  if (Contains(from.ancestors, to.dir->ino)) from_first = false;
  TwoLocks locks(from_first ? from.dir : to.dir, from_first ? to.dir : from.dir);
  return RenameLocked(from, to, flags, true, outcome);
}

Status Renamer::Rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                       uint32_t flags) {
  MIRDAX_TRY(volume_.CheckWritable());
  constexpr uint32_t kKnown = RENAME_NOREPLACE | RENAME_EXCHANGE;
  if ((flags & ~kKnown) != 0 || (flags & kKnown) == kKnown) return Fail(ErrorCode::kInvalid);
  for (const std::string_view each : {name, new_name}) {
    if (Status ok = CheckNewName(each); !ok) {
      return Fail(ok.error().code == ErrorCode::kExists ? ErrorCode::kBusy : ok.error().code);
    }
  }
  MIRDAX_ASSIGN(const InodeRef from_dir, volume_.Get(parent));
  MIRDAX_ASSIGN(const InodeRef to_dir, volume_.Get(new_parent));
  Outcome outcome;
  const Status done = volume_.Retry([&]() -> Status {
    Place from{from_dir.get(), name, {}};
    Place to{to_dir.get(), new_name, {}};
    return RenameBetween(from, to, flags, outcome);
  });
  MIRDAX_TRY(done);
  if (outcome.replaced != 0) reaper_.Reap(outcome.replaced);
  return volume_.Settle(outcome.transaction);
}

}  // namespace mirdax
