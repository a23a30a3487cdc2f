// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/namespace.h"

#include <algorithm>
#include <cstring>

#include "fs/base/mutant.h"
#include "fs/core/posix_acl.h"

namespace mirdax {
namespace {

constexpr uint32_t kTypeMask = 0170000;
constexpr uint32_t kSetGid = 02000;
constexpr size_t kMaxTarget = kBlockSize - 1;
constexpr size_t kBatch = 128;  // names that ReadDirectory copies under the lock

// New inode: the directory, two bitmap blocks (inode, orphan), two inodes, xattr block, symlink.
constexpr uint32_t kMakeCredits =
    kDirectoryCredits + 2 * kInodeCredits + kOrphanCredits + kXattrCredits + 4;
constexpr uint32_t kRemoveCredits = kDirectoryCredits + 2 * kInodeCredits + kOrphanCredits;

bool IsDots(std::string_view name) { return name == "." || name == ".."; }

}  // namespace

struct Namespace::NewInode {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t rdev = 0;
  std::string_view target;  // of a symlink
  BlockRun target_block;    // where a long target was stored; length 0: inline
  std::string access_acl;   // value, empty: none
  std::string default_acl;
};

Status CheckNewName(std::string_view name) {
  if (name.size() > kMaxNameLength) return Fail(ErrorCode::kNameTooLong);
  if (IsDots(name)) return Fail(ErrorCode::kExists);
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) {
    return Fail(ErrorCode::kInvalid);
  }
  return {};
}

Status CheckDirectory(const Inode& dir) {
  if (dir.freed || dir.disk.nlink == 0) return Fail(ErrorCode::kNotFound);
  if (!IsDirectory(dir.disk)) return Fail(ErrorCode::kNotDirectory);
  return {};
}

Result<Attributes> Namespace::Lookup(Ino parent, std::string_view name) {
  if (name.size() > kMaxNameLength) return Fail(ErrorCode::kNameTooLong);
  MIRDAX_ASSIGN(const InodeRef dir, volume_.Get(parent));
  Ino ino = 0;
  {
    ReadLock lock(dir->mutex);
    if (dir->freed) return Fail(ErrorCode::kNotFound);
    if (!IsDirectory(dir->disk)) return Fail(ErrorCode::kNotDirectory);
    if (name == ".") {
      ino = parent;
    } else if (name == "..") {
      ino = dir->disk.parent;
    } else {
      MIRDAX_ASSIGN(const DirSlot slot,
                    volume_.directory.Lookup(*volume_.transactions, dir->disk, name));
      ino = slot.ino;
    }
    if (ino == 0 || ino >= volume_.transactions->geometry().inode_count) {
      return Fail(ErrorCode::kCorrupt, "directory {}: a name leads to inode {}", parent, ino);
    }
    // Under the directory's lock: nobody can take the name away and free the inode in between.
    volume_.lookups.Add(ino, 1);
  }
  Result<Attributes> result = [&]() -> Result<Attributes> {
    MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
    ReadLock lock(inode->mutex);
    if (inode->freed) return Fail(ErrorCode::kNotFound);
    return volume_.AttributesOf(*inode);
  }();
  if (!result) {
    reaper_.Release(ino, 1);
    if (result.error().code == ErrorCode::kNotFound) {
      return Fail(ErrorCode::kCorrupt, "directory {}: a name leads to the free inode {}", parent,
                  ino);
    }
  }
  return result;
}

Status Namespace::InheritFrom(const Inode& parent, NewInode& fresh, const Caller& caller) {
  fresh.uid = caller.uid;
  fresh.gid = caller.gid;
  const bool directory = (fresh.mode & kTypeMask) == 0040000;
  if ((parent.disk.mode & kSetGid) != 0) {
    fresh.gid = parent.disk.gid;
    if (directory) fresh.mode |= kSetGid;
  }
  if (!fresh.target.empty()) return {};  // symlinks: always 0777, no list
  if (parent.disk.xattr_block != 0) {
    Result<std::string> stored =
        XattrBlock::Get(*volume_.transactions, parent.disk, XattrNamespace::kAclDefault, {});
    if (stored) {
      MIRDAX_ASSIGN(PosixAcl acl, PosixAcl::Parse(*stored));
      fresh.mode = acl.Inherit(fresh.mode);
      if (!acl.EquivalentToMode()) fresh.access_acl = acl.Serialize();
      if (directory) fresh.default_acl = std::move(*stored);
      return {};
    }
    if (stored.error().code != ErrorCode::kNoData) return Fail(stored.error());
  }
  fresh.mode &= ~(caller.umask & 0777);
  return {};
}

Status Namespace::ReserveTarget(NewInode& fresh) {
  if (fresh.target.size() <= kInlineSymlinkMax) return {};
  MIRDAX_ASSIGN(fresh.target_block, volume_.allocator->Reserve(1, 0, SpaceUse::kData));
  const uint64_t at = fresh.target_block.start * kBlockSize;
  MIRDAX_TRY(volume_.CheckMetadata());
  const FileDataAccess access;
  volume_.region.Stream(at, std::as_bytes(std::span(fresh.target)));
  volume_.region.StreamZeros(at + fresh.target.size(), kBlockSize - fresh.target.size());
  if (Status stored = volume_.region.CheckGood(at, kBlockSize); !stored) {
    fresh.target_block = {};  // it stays reserved, so that nobody else gets it
    return stored;
  }
  return {};
}

Status Namespace::StoreNew(Tx& tx, InodeDisk& parent, const std::optional<std::string_view>& name,
                           const NewInode& fresh, InodeDisk& disk) {
  if (!fresh.access_acl.empty()) {
    MIRDAX_TRY(volume_.xattrs.Set(tx, disk, XattrNamespace::kAclAccess, {}, fresh.access_acl));
  }
  if (!fresh.default_acl.empty()) {
    MIRDAX_TRY(volume_.xattrs.Set(tx, disk, XattrNamespace::kAclDefault, {}, fresh.default_acl));
  }
  if (name) {
    MIRDAX_TRY(volume_.directory.Insert(tx, parent, *name, disk.ino, DirentType(disk.mode)));
  }
  return {};
}

Result<Attributes> Namespace::MakeIn(Inode& parent, const std::optional<std::string_view>& name,
                                     NewInode& fresh, const Caller& caller) {
  const bool directory = (fresh.mode & kTypeMask) == 0040000;
  MIRDAX_TRY(CheckDirectory(parent));
  if (name) {
    const Result<DirSlot> taken =
        volume_.directory.Lookup(*volume_.transactions, parent.disk, *name);
    if (taken) return Fail(ErrorCode::kExists);
    if (taken.error().code != ErrorCode::kNotFound) return Fail(taken.error());
  }
  MIRDAX_TRY(InheritFrom(parent, fresh, caller));

  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kMakeCredits));
  MIRDAX_ASSIGN(const Ino ino, volume_.allocator->AllocateInode(tx, parent.ino));
  // The bitmap has no checksum: the slot must agree that it is free (R9). The bit stays set.
  if (const Result<InodeDisk> held = volume_.table.Read(ino);
      held || held.error().code != ErrorCode::kNotFound) {
    return Fail(ErrorCode::kCorrupt,
                "inode {} is in use, but free in the bitmap; unmount and run fsck.mirdax", ino);
  }
  const Result<uint32_t> generation = volume_.table.Generation(ino);
  MIRDAX_TRY(volume_.OrAbort(tx, generation ? Status() : Status(Fail(generation.error()))));

  InodeDisk disk{};
  disk.magic = kInodeMagic;
  disk.ino = ino;
  disk.generation = *generation + 1;
  disk.mode = fresh.mode;
  disk.uid = fresh.uid;
  disk.gid = fresh.gid;
  disk.nlink = !name ? 0 : directory ? 2 : 1;
  if (directory) disk.parent = parent.ino;
  volume_.Touch(disk, {kAtime, kMtime, kCtime, kBtime});
  if (!fresh.target.empty()) {
    disk.size = fresh.target.size();
    if (fresh.target_block.length == 0) {
      disk.flags |= kInodeInlineLink;
      std::memcpy(disk.payload.data(), fresh.target.data(), fresh.target.size());
    }
  } else if (fresh.rdev != 0) {
    std::memcpy(disk.payload.data(), &fresh.rdev, sizeof(fresh.rdev));
  }

  // Up to here only the inode number was taken; it and the lists are given back on failure.
  if (Status stored = StoreNew(tx, parent.disk, name, fresh, disk); !stored) {
    if (disk.xattr_block != 0) {
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.xattrs.RemoveAll(tx, disk)));
    }
    if (!Mutated(Mutant::kInodeLeaked))
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.allocator->FreeInode(tx, ino)));
    return Fail(stored.error());
  }
  if (fresh.target_block.length != 0) {
    const Extent extent{0, fresh.target_block.start, 1, 0};
    const Result<uint64_t> mapped = volume_.extents.Map(tx, disk, extent);
    MIRDAX_TRY(volume_.OrAbort(tx, mapped ? Status() : Status(Fail(mapped.error()))));
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.allocator->Use(tx, fresh.target_block)));
    tx.AddData({fresh.target_block.start * kBlockSize, kBlockSize});
    fresh.target_block = {};
  }
  if (name) {
    if (directory) ++parent.disk.nlink;
    parent.disk.seconds[kMtime] = parent.disk.seconds[kCtime] = disk.seconds[kCtime];
    parent.disk.nanoseconds[kMtime] = parent.disk.nanoseconds[kCtime] = disk.nanoseconds[kCtime];
    MIRDAX_TRY(volume_.WriteInode(tx, parent));
  } else {
    MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Add(tx, disk)));
    reaper_.Doom(ino);
  }
  const InodeRef inode = volume_.cache.Create(ino);
  inode->AssertLocked();
  inode->disk = disk;
  inode->size = disk.size;
  const Status written = volume_.WriteInode(tx, *inode);
  volume_.lookups.Add(ino, 1);
  const Attributes result = volume_.AttributesOf(*inode);
  inode->mutex.unlock();
  MIRDAX_TRY(written);
  return result;
}

Result<Attributes> Namespace::Make(Ino parent, const std::optional<std::string_view>& name,
                                   NewInode fresh, const Caller& caller) {
  MIRDAX_TRY(volume_.CheckWritable());
  if (name) MIRDAX_TRY(CheckNewName(*name));
  MIRDAX_ASSIGN(const InodeRef dir, volume_.Get(parent));
  Result<Attributes> result;
  TxId last = 0;
  const Status done = volume_.Retry([&]() -> Status {
    NewInode attempt = fresh;
    WriteLock lock(dir->mutex);
    MIRDAX_TRY(ReserveTarget(attempt));
    result = MakeIn(*dir, name, attempt, caller);
    if (attempt.target_block.length != 0) volume_.allocator->Unreserve(attempt.target_block);
    if (!result) return Fail(result.error());
    last = dir->last_transaction;
    return {};
  });
  MIRDAX_TRY(done);
  MIRDAX_TRY(volume_.Settle(last));
  return result;
}

Result<Attributes> Namespace::MakeNode(Ino parent, std::string_view name, uint32_t mode,
                                       uint32_t rdev, const Caller& caller) {
  switch (mode & kTypeMask) {
    case 0:
      mode |= 0100000;
      break;
    case 0100000:  // regular file
    case 0010000:  // fifo
    case 0140000:  // socket
      rdev = 0;
      break;
    case 0020000:  // devices
    case 0060000:
      break;
    default:
      return Fail(ErrorCode::kInvalid);
  }
  NewInode fresh;
  fresh.mode = mode;
  fresh.rdev = rdev;
  return Make(parent, name, std::move(fresh), caller);
}

Result<Attributes> Namespace::MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                            const Caller& caller) {
  NewInode fresh;
  fresh.mode = 0040000 | (mode & 01777);
  return Make(parent, name, std::move(fresh), caller);
}

Result<Attributes> Namespace::MakeSymlink(Ino parent, std::string_view name,
                                          std::string_view target, const Caller& caller) {
  if (target.empty()) return Fail(ErrorCode::kNotFound);
  if (target.size() > kMaxTarget) return Fail(ErrorCode::kNameTooLong);
  NewInode fresh;
  fresh.mode = 0120777;
  fresh.target = target;
  return Make(parent, name, std::move(fresh), caller);
}

Result<Attributes> Namespace::OpenTemporary(Ino parent, uint32_t mode, const Caller& caller) {
  NewInode fresh;
  fresh.mode = 0100000 | (mode & 07777);
  return Make(parent, std::nullopt, std::move(fresh), caller);
}

Result<Attributes> Namespace::Link(Ino ino, Ino new_parent, std::string_view new_name) {
  MIRDAX_TRY(volume_.CheckWritable());
  MIRDAX_TRY(CheckNewName(new_name));
  if (ino == new_parent) return Fail(ErrorCode::kPermission);
  MIRDAX_ASSIGN(const InodeRef dir, volume_.Get(new_parent));
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  Attributes result;
  TxId last = 0;
  const Status done = volume_.Retry([&]() -> Status {
    {
      // Before the directory is locked: two directories are locked in no order here.
      ReadLock lock(inode->mutex);
      if (IsDirectory(inode->disk)) return Fail(ErrorCode::kPermission);
    }
    WriteLock dir_lock(dir->mutex);
    MIRDAX_TRY(CheckDirectory(*dir));
    WriteLock lock(inode->mutex);
    if (inode->freed) return Fail(ErrorCode::kNotFound);
    if (inode->disk.nlink >= kMaxLinks) return Fail(ErrorCode::kTooManyLinks);
    const Result<DirSlot> taken =
        volume_.directory.Lookup(*volume_.transactions, dir->disk, new_name);
    if (taken) return Fail(ErrorCode::kExists);
    if (taken.error().code != ErrorCode::kNotFound) return Fail(taken.error());

    MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kMakeCredits));
    MIRDAX_TRY(
        volume_.directory.Insert(tx, dir->disk, new_name, ino, DirentType(inode->disk.mode)));
    if (inode->disk.nlink == 0) {  // a temporary file gets a name
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Remove(tx, inode->disk)));
      reaper_.Pardon(ino);
    }
    ++inode->disk.nlink;
    volume_.Touch(inode->disk, {kCtime});
    volume_.Touch(dir->disk, {kMtime, kCtime});
    MIRDAX_TRY(volume_.WriteInode(tx, *inode));
    MIRDAX_TRY(volume_.WriteInode(tx, *dir));
    volume_.lookups.Add(ino, 1);
    result = volume_.AttributesOf(*inode);
    last = tx.id();
    return {};
  });
  MIRDAX_TRY(done);
  MIRDAX_TRY(volume_.Settle(last));
  return result;
}

Status Namespace::RemoveLocked(Inode& parent, Inode& child, std::string_view name, bool directory) {
  if (child.freed || child.disk.nlink == 0) {
    return Fail(ErrorCode::kCorrupt, "directory {}: a name leads to inode {} without links",
                parent.ino, child.ino);
  }
  if (directory && !IsDirectory(child.disk)) return Fail(ErrorCode::kNotDirectory);
  if (!directory && IsDirectory(child.disk)) return Fail(ErrorCode::kIsDirectory);
  if (directory && Directory::EntryCount(child.disk) != 0) return Fail(ErrorCode::kNotEmpty);

  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kRemoveCredits));
  MIRDAX_TRY(volume_.directory.Remove(tx, parent.disk, name));
  volume_.freed.store(true);
  volume_.Touch(parent.disk, {kMtime, kCtime});
  volume_.Touch(child.disk, {kCtime});
  if (directory) {
    child.disk.nlink = 0;
    if (parent.disk.nlink > 2) --parent.disk.nlink;
  } else {
    --child.disk.nlink;
  }
  if (child.disk.nlink == 0) {
    if (!Mutated(Mutant::kUnlinkWithoutOrphan))
      MIRDAX_TRY(volume_.OrAbort(tx, volume_.orphan_list.Add(tx, child.disk)));
    reaper_.Doom(child.ino);
  }
  MIRDAX_TRY(volume_.WriteInode(tx, parent));
  return volume_.WriteInode(tx, child);
}

Status Namespace::Remove(Ino parent, std::string_view name, bool directory) {
  MIRDAX_TRY(volume_.CheckWritable());
  if (name.size() > kMaxNameLength) return Fail(ErrorCode::kNameTooLong);
  if (name == ".") return Fail(ErrorCode::kInvalid);
  if (name == "..") return Fail(ErrorCode::kNotEmpty);
  MIRDAX_ASSIGN(const InodeRef dir, volume_.Get(parent));
  TxId last = 0;
  Ino removed = 0;
  const Status done = volume_.Retry([&]() -> Status {
    WriteLock dir_lock(dir->mutex);
    MIRDAX_TRY(CheckDirectory(*dir));
    MIRDAX_ASSIGN(const DirSlot slot,
                  volume_.directory.Lookup(*volume_.transactions, dir->disk, name));
    if (slot.ino == parent) {
      return Fail(ErrorCode::kCorrupt, "directory {} contains itself", parent);
    }
    MIRDAX_ASSIGN(const InodeRef child, volume_.Get(slot.ino));
    WriteLock lock(child->mutex);
    MIRDAX_TRY(RemoveLocked(*dir, *child, name, directory));
    removed = slot.ino;
    last = dir->last_transaction;
    return {};
  });
  MIRDAX_TRY(done);
  reaper_.Reap(removed);
  return volume_.Settle(last);
}

Status Namespace::Unlink(Ino parent, std::string_view name) { return Remove(parent, name, false); }

Status Namespace::RemoveDirectory(Ino parent, std::string_view name) {
  return Remove(parent, name, true);
}

Result<std::string> Namespace::ReadLink(Ino ino) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  std::string target;
  {
    ReadLock lock(inode->mutex);
    if (inode->freed) return Fail(ErrorCode::kNotFound);
    if (!IsSymlink(inode->disk)) return Fail(ErrorCode::kInvalid);
    const bool inlined = (inode->disk.flags & kInodeInlineLink) != 0;
    if (inode->disk.size > (inlined ? kInlineSymlinkMax : kMaxTarget)) {
      return Fail(ErrorCode::kCorrupt, "symlink {} of {} bytes", ino, inode->disk.size);
    }
    if (inlined) {
      target.assign(reinterpret_cast<const char*>(inode->disk.payload.data()), inode->disk.size);
    } else {
      MIRDAX_ASSIGN(const Mapping mapping, ExtentTree::Find(*volume_.transactions, inode->disk, 0));
      if (mapping.hole()) return Fail(ErrorCode::kCorrupt, "symlink {} without a target", ino);
      const uint64_t at = mapping.pool_block * kBlockSize;
      const FileDataAccess access;
      target.assign(reinterpret_cast<const char*>(volume_.region.At(at, inode->disk.size)),
                    inode->disk.size);
      MIRDAX_TRY(volume_.region.CheckGood(at, target.size()));
    }
  }
  reader_.Accessed(*inode);
  return target;
}

Status Namespace::ReadDirectory(Ino ino, uint64_t cookie, bool attributes,
                                const Volume::Emit& emit) {
  const uint64_t losses = volume_.losses();
  MIRDAX_ASSIGN(const InodeRef dir, volume_.Get(ino));
  Ino parent = 0;
  {
    ReadLock lock(dir->mutex);
    if (dir->freed) return Fail(ErrorCode::kNotFound);
    if (!IsDirectory(dir->disk)) return Fail(ErrorCode::kNotDirectory);
    parent = dir->disk.parent;
  }
  if (cookie == 0) reader_.Accessed(*dir);
  constexpr uint8_t kDirType = 4;  // DT_DIR
  if (cookie < kDirKeyDot && !emit({".", ino, kDirType, kDirKeyDot}, nullptr)) return {};
  if (cookie < kDirKeyDotDot && !emit({"..", parent, kDirType, kDirKeyDotDot}, nullptr)) return {};

  DirKey after = std::max<DirKey>(cookie, kDirKeyDotDot);
  for (;;) {
    std::vector<DirName> names;
    {
      ReadLock lock(dir->mutex);
      if (dir->freed) return {};
      MIRDAX_ASSIGN(names, volume_.directory.Next(*volume_.transactions, dir->disk, after, kBatch));
      MIRDAX_TRY(volume_.CheckMedium(losses));  // before anybody sees a name
      // Under the directory's lock, so that no name's inode can be freed before it is emitted.
      if (attributes) {
        for (DirName& name : names) {
          if (name.slot.ino != 0 && name.slot.ino < volume_.transactions->geometry().inode_count) {
            volume_.lookups.Add(name.slot.ino, 1);
          } else {
            name.slot.ino = 0;
          }
        }
      }
    }
    if (names.empty()) return {};
    bool more = true;
    for (const DirName& name : names) {
      const Ino child = name.slot.ino;
      const DirEntry entry{name.name, child, name.slot.type, name.slot.key};
      Result<Attributes> found = Fail(ErrorCode::kNotFound);
      if (attributes && child != 0 && more) {
        found = [&]() -> Result<Attributes> {
          MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(child));
          ReadLock lock(inode->mutex);
          if (inode->freed) return Fail(ErrorCode::kNotFound);
          return volume_.AttributesOf(*inode);
        }();
      }
      if (more) {
        after = name.slot.key;
        more = emit(entry, found ? &*found : nullptr);
        if (more && found) continue;  // its count is the caller's now
      }
      if (attributes && child != 0) reaper_.Release(child, 1);
    }
    if (!more) return {};
  }
}

}  // namespace mirdax
