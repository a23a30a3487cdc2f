// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/operations.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <vector>

#include "fs/fuse/handlers.h"

namespace mirdax::fuse {
namespace {

// What a user's program cannot know from EIO alone, at most once a second.
void LogFailure(const Error& error) {
  if (error.message.empty()) return;
  switch (error.code) {
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIncompatible:
    case ErrorCode::kPeerLost:
    case ErrorCode::kTimedOut:
    case ErrorCode::kStale:
    case ErrorCode::kShutdown:
      break;
    default:
      return;
  }
  static std::atomic<int64_t> last_second{0};
  const int64_t now = SystemClock().Now().seconds;
  if (last_second.exchange(now, std::memory_order_relaxed) == now) return;
  spdlog::error("{}: {}", ErrorCodeName(error.code), error.message);
}

timespec ToTimespec(const Timestamp& time) {
  return timespec{.tv_sec = time.seconds, .tv_nsec = static_cast<long>(time.nanoseconds)};
}

bool IsRootOrInGroup(fuse_req_t request, uint32_t group) {
  const fuse_ctx* const caller = fuse_req_ctx(request);
  if (caller->uid == 0 || caller->gid == group) return true;
  constexpr int kMostGroups = 65536;  // NGROUPS_MAX
  std::vector<gid_t> groups(kMostGroups);
  const int count = fuse_req_getgroups(request, kMostGroups, groups.data());
  groups.resize(static_cast<size_t>(std::clamp(count, 0, kMostGroups)));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

void Want(fuse_conn_info& connection, uint64_t capability) {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
  fuse_set_feature_flag(&connection, capability);
#else
  connection.want |= connection.capable & static_cast<unsigned>(capability);
#endif
}

// libfuse asks for some capabilities by itself; we ask for exactly what is listed in Init().
void WantNothing(fuse_conn_info& connection) {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
  fuse_unset_feature_flag(&connection, ~uint64_t{0});
#else
  connection.want = 0;
#endif
}

}  // namespace

Caller CallerOf(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return Caller{.uid = context->uid, .gid = context->gid, .umask = context->umask};
}

void ReplyError(fuse_req_t request, const Error& error) {
  LogFailure(error);
  fuse_reply_err(request, ToErrno(error.code));
}

struct stat ToStat(const Front& front, const Attributes& attributes) {
  struct stat out;
  std::memset(&out, 0, sizeof(out));
  out.st_ino = attributes.ino;
  out.st_mode = attributes.mode;
  out.st_nlink = attributes.nlink;
  out.st_uid = attributes.uid;
  out.st_gid = attributes.gid;
  out.st_rdev = attributes.rdev;
  out.st_size = static_cast<off_t>(attributes.size);
  out.st_blksize = kBlockSize;
  out.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  // The kernel may hold data that we have not seen; archivers take no blocks for no data.
  if (front.writeback && out.st_blocks == 0 && S_ISREG(out.st_mode)) out.st_blocks = 1;
  out.st_atim = ToTimespec(attributes.atime);
  out.st_mtim = ToTimespec(attributes.mtime);
  out.st_ctim = ToTimespec(attributes.ctime);
  return out;
}

fuse_entry_param ToEntry(const Front& front, const Attributes& attributes) {
  fuse_entry_param entry{};
  entry.ino = attributes.ino;
  entry.generation = attributes.generation;
  entry.attr = ToStat(front, attributes);
  entry.attr_timeout = AttributeSeconds(front);
  entry.entry_timeout = kCacheSeconds;
  return entry;
}

void ReplyEntry(fuse_req_t request, Front& front, const Attributes& attributes) {
  const fuse_entry_param entry = ToEntry(front, attributes);
  if (fuse_reply_entry(request, &entry) != 0) front.volume.Forget(attributes.ino, 1);
}

uint32_t WithoutSetIds(fuse_req_t request, const Attributes& before) {
  uint32_t mode = before.mode & ~static_cast<uint32_t>(S_ISUID);
  if ((mode & S_ISGID) == 0) return mode;
  if ((mode & S_IXGRP) != 0 || !IsRootOrInGroup(request, before.gid))
    mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

void Init(void* user_data, fuse_conn_info* connection) {
  Front& front = *static_cast<Front*>(user_data);
  WantNothing(*connection);
  // Locks (POSIX, flock) stay in the kernel: nobody else could hold one. AUTO_INVAL_DATA stays off
  // for the same reason. ATOMIC_O_TRUNC stays off so that the kernel clears set-id bits of a file
  // truncated by open. Splicing stays off: pipes cost more than the one copy into PM.
  constexpr std::array<uint64_t, 9> kWanted = {
      FUSE_CAP_ASYNC_READ,  FUSE_CAP_ASYNC_DIO,        FUSE_CAP_DONT_MASK,
      FUSE_CAP_READDIRPLUS, FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_PARALLEL_DIROPS,
      FUSE_CAP_POSIX_ACL,   FUSE_CAP_CACHE_SYMLINKS,   FUSE_CAP_NO_OPENDIR_SUPPORT};
  for (const uint64_t capability : kWanted) Want(*connection, capability);
  if (front.writeback) Want(*connection, FUSE_CAP_WRITEBACK_CACHE);
  if (!front.direct_io) Want(*connection, FUSE_CAP_NO_OPEN_SUPPORT);
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2  // else see init_reply.h
  if (front.direct_io) Want(*connection, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
  front.kill_privileges = fuse_set_feature_flag(connection, FUSE_CAP_HANDLE_KILLPRIV_V2);
#endif
  connection->max_write = 1024 * 1024;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  connection->time_gran = 1;
  if (front.on_ready) front.on_ready();
}

}  // namespace mirdax::fuse

namespace mirdax {

const fuse_lowlevel_ops& Operations() {
  // flush and release are left out: nothing happens at close, so the kernel does not ask. getlk,
  // setlk and flock are left out: the kernel keeps the locks.
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = fuse::Init;
    ops.lookup = fuse::Lookup;
    ops.forget = fuse::Forget;
    ops.forget_multi = fuse::ForgetMulti;
    ops.getattr = fuse::GetAttributes;
    ops.setattr = fuse::SetAttributes;
    ops.readlink = fuse::ReadLink;
    ops.mknod = fuse::MakeNode;
    ops.mkdir = fuse::MakeDirectory;
    ops.unlink = fuse::Unlink;
    ops.rmdir = fuse::RemoveDirectory;
    ops.symlink = fuse::MakeSymlink;
    ops.rename = fuse::Rename;
    ops.link = fuse::Link;
    ops.open = fuse::Open;
    ops.read = fuse::Read;
    ops.write = fuse::Write;
    ops.fsync = fuse::Fsync;
    ops.opendir = fuse::OpenDirectory;
    ops.readdir = fuse::ReadDirectory;
    ops.readdirplus = fuse::ReadDirectoryPlus;
    ops.fsyncdir = fuse::FsyncDirectory;
    ops.statfs = fuse::StatFilesystem;
    ops.setxattr = fuse::SetXattr;
    ops.getxattr = fuse::GetXattr;
    ops.listxattr = fuse::ListXattrs;
    ops.removexattr = fuse::RemoveXattr;
    ops.create = fuse::Create;
    ops.fallocate = fuse::Allocate;
    ops.lseek = fuse::Seek;
    ops.copy_file_range = fuse::CopyRange;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    ops.tmpfile = fuse::OpenTemporary;
#endif
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
    ops.statx = fuse::StatExtended;
#endif
    return ops;
  }();
  return operations;
}

}  // namespace mirdax
