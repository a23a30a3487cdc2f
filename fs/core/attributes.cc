// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/attributes.h"

#include <array>
#include <utility>

#include "fs/core/posix_acl.h"

namespace mirdax {
namespace {

constexpr uint32_t kChangeCredits = kXattrCredits + kInodeCredits;
constexpr uint32_t kPermissions = 07777;

constexpr std::array<std::pair<std::string_view, XattrNamespace>, 3> kPrefixes{{
    {"user.", XattrNamespace::kUser},
    {"trusted.", XattrNamespace::kTrusted},
    {"security.", XattrNamespace::kSecurity},
}};
constexpr std::array<std::pair<std::string_view, XattrNamespace>, 2> kAcls{{
    {"system.posix_acl_access", XattrNamespace::kAclAccess},
    {"system.posix_acl_default", XattrNamespace::kAclDefault},
}};

bool IsAcl(XattrNamespace space) {
  return space == XattrNamespace::kAclAccess || space == XattrNamespace::kAclDefault;
}

Result<XattrName> ParseName(std::string_view name) {
  for (const auto& [whole, space] : kAcls) {
    if (name == whole) return XattrName{space, {}};
  }
  for (const auto& [prefix, space] : kPrefixes) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view rest = name.substr(prefix.size());
    if (rest.empty()) return Fail(ErrorCode::kInvalid);
    if (name.size() > kMaxNameLength) return Fail(ErrorCode::kRange);
    return XattrName{space, std::string(rest)};
  }
  return Fail(ErrorCode::kNotSupported);
}

std::string FullName(const XattrName& name) {
  for (const auto& [whole, space] : kAcls) {
    if (name.space == space) return std::string(whole);
  }
  for (const auto& [prefix, space] : kPrefixes) {
    if (name.space == space) return std::string(prefix) + name.name;
  }
  return name.name;
}

void SetTime(InodeDisk& disk, TimeIndex index, const std::optional<Timestamp>& time) {
  if (!time) return;
  disk.seconds[index] = time->seconds;
  disk.nanoseconds[index] = time->nanoseconds;
}

bool TakesUserXattrs(const InodeDisk& disk) { return IsRegular(disk) || IsDirectory(disk); }

}  // namespace

Result<Attributes> AttributeOperations::Get(Ino ino) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  if (inode->freed) return Fail(ErrorCode::kNotFound);
  return volume_.AttributesOf(*inode);
}

Status AttributeOperations::Change(Inode& inode, const AttributeChange& change) {
  // The list must go on to say what the mode says.
  std::string acl_value;
  if (change.mode && inode.disk.xattr_block != 0) {
    Result<std::string> stored =
        XattrBlock::Get(*volume_.transactions, inode.disk, XattrNamespace::kAclAccess, {});
    if (stored) {
      MIRDAX_ASSIGN(PosixAcl acl, PosixAcl::Parse(*stored));
      acl.SetMode(*change.mode);
      acl_value = acl.Serialize();
    } else if (stored.error().code != ErrorCode::kNoData) {
      return Fail(stored.error());
    }
  }
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kChangeCredits));
  if (!acl_value.empty()) {
    MIRDAX_TRY(volume_.xattrs.Set(tx, inode.disk, XattrNamespace::kAclAccess, {}, acl_value));
  }
  InodeDisk& disk = inode.disk;
  volume_.Touch(disk, {kCtime});
  if (change.mode) disk.mode = (disk.mode & ~kPermissions) | (*change.mode & kPermissions);
  if (change.uid) disk.uid = *change.uid;
  if (change.gid) disk.gid = *change.gid;
  SetTime(disk, kAtime, change.atime);
  SetTime(disk, kMtime, change.mtime);
  SetTime(disk, kCtime, change.ctime);
  return volume_.WriteInode(tx, inode);
}

template <typename Body>
Result<TxId> AttributeOperations::Modify(Ino ino, Body body) {
  MIRDAX_TRY(volume_.CheckWritable());
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  TxId last = 0;
  const Status done = volume_.Retry([&]() -> Status {
    WriteLock lock(inode->mutex);
    if (inode->freed) return Fail(ErrorCode::kNotFound);
    MIRDAX_TRY(body(*inode));
    last = inode->last_transaction;
    return {};
  });
  MIRDAX_TRY(done);
  return last;
}

Result<Attributes> AttributeOperations::Set(Ino ino, const AttributeChange& change) {
  Attributes result;
  const auto set = [&](Inode& inode) -> Status {
    inode.AssertLocked();
    if (change.size) {
      if (IsDirectory(inode.disk)) return Fail(ErrorCode::kIsDirectory);
      if (!IsRegular(inode.disk)) return Fail(ErrorCode::kInvalid);
      MIRDAX_TRY(space_.Resize(inode, *change.size));
    }
    if (change.mode || change.uid || change.gid || change.atime || change.mtime || change.ctime) {
      MIRDAX_TRY(Change(inode, change));
    }
    result = volume_.AttributesOf(inode);
    return {};
  };
  MIRDAX_ASSIGN(const TxId last, Modify(ino, set));
  if (change.size && volume_.options.sync_always) {
    MIRDAX_TRY(syncer_.Sync(ino, false));
  } else {
    MIRDAX_TRY(volume_.Settle(last));
  }
  return result;
}

Result<std::string> AttributeOperations::GetXattr(Ino ino, std::string_view name) {
  MIRDAX_ASSIGN(const XattrName parsed, ParseName(name));
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  if (inode->freed) return Fail(ErrorCode::kNotFound);
  if (inode->disk.xattr_block == 0) return Fail(ErrorCode::kNoData);
  return XattrBlock::Get(*volume_.transactions, inode->disk, parsed.space, parsed.name);
}

Result<std::vector<std::string>> AttributeOperations::ListXattrs(Ino ino) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  if (inode->freed) return Fail(ErrorCode::kNotFound);
  std::vector<std::string> names;
  if (inode->disk.xattr_block == 0) return names;
  MIRDAX_ASSIGN(const std::vector<XattrName> stored,
                XattrBlock::List(*volume_.transactions, inode->disk));
  names.reserve(stored.size());
  for (const XattrName& name : stored) names.push_back(FullName(name));
  return names;
}

Status AttributeOperations::StoreXattr(Inode& inode, const XattrName& name, std::string_view value,
                                       XattrMode mode) {
  bool exists = false;
  if (inode.disk.xattr_block != 0) {
    const Result<std::string> stored =
        XattrBlock::Get(*volume_.transactions, inode.disk, name.space, name.name);
    if (!stored && stored.error().code != ErrorCode::kNoData) return Fail(stored.error());
    exists = stored.has_value();
  }
  if (mode == XattrMode::kCreate && exists) return Fail(ErrorCode::kExists);
  if (mode == XattrMode::kReplace && !exists) return Fail(ErrorCode::kNoData);

  uint32_t permissions = inode.disk.mode & 0777;
  bool store = true;
  if (IsAcl(name.space)) {
    if (IsSymlink(inode.disk)) return Fail(ErrorCode::kNotSupported);
    if (name.space == XattrNamespace::kAclDefault && !IsDirectory(inode.disk)) {
      return Fail(ErrorCode::kAccess);
    }
    store = !PosixAcl::IsEmpty(value);  // an empty list takes the attribute away
    if (store) {
      MIRDAX_ASSIGN(const PosixAcl acl, PosixAcl::Parse(value));
      if (name.space == XattrNamespace::kAclAccess) {
        permissions = acl.Mode();
        store = !acl.EquivalentToMode();
      }
    }
  }
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kChangeCredits));
  if (store) {
    MIRDAX_TRY(volume_.xattrs.Set(tx, inode.disk, name.space, name.name, value));
  } else if (exists) {
    MIRDAX_TRY(volume_.xattrs.Remove(tx, inode.disk, name.space, name.name));
    volume_.freed.store(true);
  }
  inode.disk.mode = (inode.disk.mode & ~uint32_t{0777}) | permissions;
  volume_.Touch(inode.disk, {kCtime});
  return volume_.WriteInode(tx, inode);
}

Status AttributeOperations::SetXattr(Ino ino, std::string_view name, std::string_view value,
                                     XattrMode mode) {
  MIRDAX_ASSIGN(const XattrName parsed, ParseName(name));
  const auto store = [&](Inode& inode) -> Status {
    inode.AssertLocked();
    if (parsed.space == XattrNamespace::kUser && !TakesUserXattrs(inode.disk)) {
      return Fail(ErrorCode::kPermission);
    }
    return StoreXattr(inode, parsed, value, mode);
  };
  MIRDAX_ASSIGN(const TxId last, Modify(ino, store));
  return volume_.Settle(last);
}

Status AttributeOperations::DropXattr(Inode& inode, const XattrName& name) {
  if (inode.disk.xattr_block == 0) return Fail(ErrorCode::kNoData);
  MIRDAX_ASSIGN(Tx tx, volume_.transactions->Begin(kChangeCredits));
  MIRDAX_TRY(volume_.xattrs.Remove(tx, inode.disk, name.space, name.name));
  volume_.freed.store(true);
  volume_.Touch(inode.disk, {kCtime});
  return volume_.WriteInode(tx, inode);
}

Status AttributeOperations::RemoveXattr(Ino ino, std::string_view name) {
  MIRDAX_ASSIGN(const XattrName parsed, ParseName(name));
  const auto drop = [&](Inode& inode) -> Status {
    inode.AssertLocked();
    Status dropped = DropXattr(inode, parsed);
    // An access list that says no more than the mode is not stored, and taking it away is fine.
    if (!dropped && dropped.error().code == ErrorCode::kNoData && IsAcl(parsed.space)) return {};
    return dropped;
  };
  MIRDAX_ASSIGN(const TxId last, Modify(ino, drop));
  return volume_.Settle(last);
}

}  // namespace mirdax
