// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/executor.h"

#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <span>

#include "tests/crash/pattern.h"

namespace mirdax::crash {
namespace {

constexpr Caller kRootCaller{};

std::span<const std::byte> BytesIn(const std::string& text) {
  return std::as_bytes(std::span(text));
}

template <typename T>
Status StatusOf(const Result<T>& result) {
  return result ? Status() : Status(Fail(result.error()));
}

}  // namespace

Result<Executor::Place> Executor::Locate(std::string_view path) {
  Place place{Held(kRootIno), {}};
  for (;;) {
    const size_t slash = path.find('/');
    place.name = path.substr(0, slash);
    if (slash == path.npos) return place;
    MIRDAX_ASSIGN(const Attributes next, volume_.Lookup(place.dir.ino(), place.name));
    place.dir = Held(volume_, next.ino);
    path.remove_prefix(slash + 1);
  }
}

Result<Executor::Held> Executor::Find(std::string_view path) {
  if (path == "/") return Held(kRootIno);
  if (path.starts_with('@')) {
    const auto it = handles_.find(path);
    if (it == handles_.end()) return Fail(ErrorCode::kNotFound);
    return Held(it->second);
  }
  MIRDAX_ASSIGN(const Place place, Locate(path));
  MIRDAX_ASSIGN(const Attributes found, volume_.Lookup(place.dir.ino(), place.name));
  return Held(volume_, found.ino);
}

Status Executor::Made(const Result<Attributes>& made) {
  MIRDAX_TRY(StatusOf(made));
  volume_.Forget(made->ino, 1);
  return {};
}

Status Executor::Name(const Operation& op) {
  MIRDAX_ASSIGN(const Place place, Locate(op.path));
  const Ino dir = place.dir.ino();
  switch (op.kind) {
    case OpKind::kCreate:
      return Made(volume_.Create(dir, place.name, op.mode, kRootCaller));
    case OpKind::kMkdir:
      return Made(volume_.MakeDirectory(dir, place.name, op.mode, kRootCaller));
    case OpKind::kMknod:
      return Made(
          volume_.MakeNode(dir, place.name, TypeOf(op.flag) | op.mode, op.rdev, kRootCaller));
    case OpKind::kSymlink:
      return Made(volume_.MakeSymlink(dir, place.name, op.other, kRootCaller));
    case OpKind::kUnlink:
      return volume_.Unlink(dir, place.name);
    default:
      return volume_.RemoveDirectory(dir, place.name);
  }
}

Status Executor::Rename(const Operation& op) {
  if (op.kind == OpKind::kLink) {
    MIRDAX_ASSIGN(const Held file, Find(op.path));
    MIRDAX_ASSIGN(const Place to, Locate(op.other));
    return Made(volume_.Link(file.ino(), to.dir.ino(), to.name));
  }
  MIRDAX_ASSIGN(const Place from, Locate(op.path));
  MIRDAX_ASSIGN(const Place to, Locate(op.other));
  uint32_t flags = 0;
  if (op.flag == OpFlag::kNoReplace) flags = RENAME_NOREPLACE;
  if (op.flag == OpFlag::kExchange) flags = RENAME_EXCHANGE;
  return volume_.Rename(from.dir.ino(), from.name, to.dir.ino(), to.name, flags);
}

Result<uint64_t> Executor::Append(const Operation& op, Ino file) {
  const WriteLock lock(DataLock(file));
  MIRDAX_ASSIGN(const Attributes before, volume_.GetAttributes(file));
  MIRDAX_TRY(volume_.Append(file, BytesIn(PatternBytes(op.tag, before.size, op.length))));
  MIRDAX_ASSIGN(const Attributes now, volume_.GetAttributes(file));
  return now.size - before.size;
}

Result<uint64_t> Executor::Write(const Operation& op) {
  MIRDAX_ASSIGN(const Held file, Find(op.path));
  uint64_t stored = 0;
  if (op.kind == OpKind::kAppend) {
    MIRDAX_ASSIGN(stored, Append(op, file.ino()));
  } else {
    const ReadLock lock(DataLock(file.ino()));
    const std::string bytes = PatternBytes(op.tag, op.offset, op.length);
    MIRDAX_ASSIGN(stored, volume_.Write(file.ino(), op.offset, BytesIn(bytes)));
  }
  if (op.flag == OpFlag::kSync) MIRDAX_TRY(volume_.Fsync(file.ino(), false));
  return stored;
}

Result<uint64_t> Executor::MmapStore(const Operation& op) {
  MIRDAX_ASSIGN(const Held file, Find(op.path));
  const WriteLock lock(DataLock(file.ino()));
  MIRDAX_ASSIGN(const Attributes now, volume_.GetAttributes(file.ino()));
  const uint64_t end = op.offset + op.length;
  if (S_ISDIR(now.mode)) return Fail(ErrorCode::kIsDirectory);
  if (end > now.size) return Fail(ErrorCode::kInvalid);  // a store would get SIGBUS
  if (op.length == 0) return 0;
  const uint64_t first = op.offset / kBlockSize * kBlockSize;
  const uint64_t last = std::min(now.size, (end + kBlockSize - 1) / kBlockSize * kBlockSize);
  std::string pages;
  MIRDAX_TRY(volume_.Read(file.ino(), first, last - first,
                          [&pages](std::span<const std::span<const std::byte>> spans) {
                            for (const auto span : spans) {
                              pages.append(reinterpret_cast<const char*>(span.data()), span.size());
                            }
                          }));
  pages.replace(op.offset - first, op.length, PatternBytes(op.tag, op.offset, op.length));
  MIRDAX_ASSIGN(const uint64_t stored, volume_.Write(file.ino(), first, BytesIn(pages)));
  return std::min(op.length, stored - std::min(stored, op.offset - first));
}

Result<uint64_t> Executor::Copy(const Operation& op) {
  MIRDAX_ASSIGN(const Held from, Find(op.path));
  MIRDAX_ASSIGN(const Held to, Find(op.other));
  const WriteLock lock(DataLock(std::min(from.ino(), to.ino())));
  std::optional<WriteLock> second;
  if (from.ino() != to.ino()) second.emplace(DataLock(std::max(from.ino(), to.ino())));
  return volume_.CopyRange(from.ino(), op.offset, to.ino(), op.to_offset, op.length);
}

Status Executor::Space(const Operation& op) {
  MIRDAX_ASSIGN(const Held file, Find(op.path));
  const ReadLock lock(DataLock(file.ino()));
  const bool keep = op.flag == OpFlag::kKeepSize;
  switch (op.kind) {
    case OpKind::kTruncate: {
      AttributeChange change;
      change.size = op.length;
      return StatusOf(volume_.SetAttributes(file.ino(), change));
    }
    case OpKind::kFallocate:
      return volume_.Allocate(file.ino(),
                              keep ? AllocateMode::kAllocateKeepSize : AllocateMode::kAllocate,
                              op.offset, op.length);
    case OpKind::kPunch:
      return volume_.Allocate(file.ino(), AllocateMode::kPunchHole, op.offset, op.length);
    default:
      return volume_.Allocate(file.ino(),
                              keep ? AllocateMode::kZeroRangeKeepSize : AllocateMode::kZeroRange,
                              op.offset, op.length);
  }
}

Status Executor::Attribute(const Operation& op) {
  MIRDAX_ASSIGN(const Held file, Find(op.path));
  AttributeChange change;
  switch (op.kind) {
    case OpKind::kSetXattr: {
      XattrMode mode = XattrMode::kAny;
      if (op.flag == OpFlag::kCreate) mode = XattrMode::kCreate;
      if (op.flag == OpFlag::kReplace) mode = XattrMode::kReplace;
      return volume_.SetXattr(file.ino(), op.other, PatternBytes(op.tag, 0, op.length), mode);
    }
    case OpKind::kRemoveXattr:
      return volume_.RemoveXattr(file.ino(), op.other);
    case OpKind::kChmod:
      change.mode = op.mode;
      break;
    case OpKind::kChown:
      change.uid = op.uid;
      change.gid = op.gid;
      break;
    default:
      change.atime = Timestamp{op.atime, 0};
      change.mtime = Timestamp{op.mtime, 0};
  }
  return StatusOf(volume_.SetAttributes(file.ino(), change));
}

Status Executor::Handle(const Operation& op) {
  if (op.kind == OpKind::kClose) {
    const auto it = handles_.find(op.path);
    if (it == handles_.end()) return Fail(ErrorCode::kNotFound);
    volume_.Forget(it->second, 1);
    handles_.erase(it);
    return {};
  }
  if (op.path.starts_with('@')) return Fail(ErrorCode::kInvalid);
  MIRDAX_ASSIGN(Held file, Find(op.path));
  if (handles_.contains(op.other)) return Fail(ErrorCode::kExists);
  if (op.kind == OpKind::kOpen) {
    handles_[op.other] = file.Keep();
    return {};
  }
  MIRDAX_ASSIGN(const Attributes made, volume_.OpenTemporary(file.ino(), op.mode, kRootCaller));
  handles_[op.other] = made.ino;
  return {};
}

void Executor::CloseAll() {
  for (const auto& [name, ino] : handles_) volume_.Forget(ino, 1);
  handles_.clear();
}

Status Executor::Sync(const Operation& op) {
  if (op.kind == OpKind::kSyncAll) return volume_.SyncAll();
  if (op.kind == OpKind::kTick) return volume_.Tick();
  if (op.kind == OpKind::kUnmount) return volume_.Unmount();
  MIRDAX_ASSIGN(const Held file, Find(op.path));
  if (op.kind == OpKind::kFsyncDir) {
    MIRDAX_ASSIGN(const Attributes now, volume_.GetAttributes(file.ino()));
    if (!S_ISDIR(now.mode)) return Fail(ErrorCode::kNotDirectory);
    return volume_.FsyncDirectory(file.ino());
  }
  // msync reaches the filesystem as fdatasync.
  return volume_.Fsync(file.ino(), op.kind != OpKind::kFsync);
}

Result<uint64_t> Executor::Do(const Operation& op) {
  const auto nothing = [](const Status& status) -> Result<uint64_t> {
    if (!status) return Fail(status.error());
    return 0;
  };
  switch (op.kind) {
    case OpKind::kCreate:
    case OpKind::kMkdir:
    case OpKind::kMknod:
    case OpKind::kSymlink:
    case OpKind::kUnlink:
    case OpKind::kRmdir:
      return nothing(Name(op));
    case OpKind::kLink:
    case OpKind::kRename:
      return nothing(Rename(op));
    case OpKind::kWrite:
    case OpKind::kAppend:
      return Write(op);
    case OpKind::kMmapStore:
      return MmapStore(op);
    case OpKind::kCopy:
      return Copy(op);
    case OpKind::kTruncate:
    case OpKind::kFallocate:
    case OpKind::kPunch:
    case OpKind::kZero:
      return nothing(Space(op));
    case OpKind::kSetXattr:
    case OpKind::kRemoveXattr:
    case OpKind::kChmod:
    case OpKind::kChown:
    case OpKind::kUtimens:
      return nothing(Attribute(op));
    case OpKind::kTmpfile:
    case OpKind::kOpen:
    case OpKind::kClose:
      return nothing(Handle(op));
    case OpKind::kFsync:
    case OpKind::kFdatasync:
    case OpKind::kMsync:
    case OpKind::kFsyncDir:
    case OpKind::kSyncAll:
    case OpKind::kTick:
    case OpKind::kUnmount:
      return nothing(Sync(op));
  }
  return 0;
}

}  // namespace mirdax::crash
