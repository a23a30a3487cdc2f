// SPDX-License-Identifier: BSD-2-Clause
// Requests about attributes, extended attributes and the filesystem as a whole.
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cstring>
#include <string>
#include <string_view>

#include "fs/fuse/handlers.h"

namespace mirdax::fuse {
namespace {

Timestamp ToTimestamp(const timespec& time) {
  return Timestamp{.seconds = time.tv_sec, .nanoseconds = static_cast<uint32_t>(time.tv_nsec)};
}

AttributeChange ToChange(const struct stat& values, int which, Clock& clock) {
  AttributeChange change;
  if ((which & FUSE_SET_ATTR_MODE) != 0) change.mode = values.st_mode & 07777U;
  if ((which & FUSE_SET_ATTR_UID) != 0) change.uid = values.st_uid;
  if ((which & FUSE_SET_ATTR_GID) != 0) change.gid = values.st_gid;
  if ((which & FUSE_SET_ATTR_SIZE) != 0) change.size = static_cast<uint64_t>(values.st_size);
  // UTIME_NOW comes with both bits.
  if ((which & FUSE_SET_ATTR_ATIME_NOW) != 0) {
    change.atime = clock.Now();
  } else if ((which & FUSE_SET_ATTR_ATIME) != 0) {
    change.atime = ToTimestamp(values.st_atim);
  }
  if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    change.mtime = clock.Now();
  } else if ((which & FUSE_SET_ATTR_MTIME) != 0) {
    change.mtime = ToTimestamp(values.st_mtim);
  }
  if ((which & FUSE_SET_ATTR_CTIME) != 0) change.ctime = ToTimestamp(values.st_ctim);
  return change;
}

// Size queries are answered with the size, reads with the bytes or ERANGE.
Status ReplyXattr(fuse_req_t request, std::string_view value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(request, value.size());
  } else if (value.size() > size) {
    return Fail(ErrorCode::kRange);
  } else {
    fuse_reply_buf(request, value.data(), value.size());
  }
  return {};
}

}  // namespace

void GetAttributes(fuse_req_t request, fuse_ino_t ino, fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes attributes, front.volume.GetAttributes(ino));
    const struct stat values = ToStat(front, attributes);
    fuse_reply_attr(request, &values, AttributeSeconds(front));
    return {};
  });
}

void SetAttributes(fuse_req_t request, fuse_ino_t ino, struct stat* values, int which,
                   fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    AttributeChange change = ToChange(*values, which, front.clock);
    const bool owner_changes = change.uid || change.gid;
    const bool kill = owner_changes || (which & FUSE_SET_ATTR_KILL_SUID) != 0;
    if (front.kill_privileges && kill && !change.mode) {
      MIRDAX_ASSIGN(const Attributes before, front.volume.GetAttributes(ino));
      const uint32_t cleared = S_ISDIR(before.mode) ? before.mode : WithoutSetIds(request, before);
      if (cleared != before.mode) change.mode = cleared & 07777U;
    }
    MIRDAX_ASSIGN(const Attributes after, front.volume.SetAttributes(ino, change));
    const struct stat reply = ToStat(front, after);
    fuse_reply_attr(request, &reply, AttributeSeconds(front));
    return {};
  });
}

void StatFilesystem(fuse_req_t request, fuse_ino_t /*ino*/) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const SpaceReport space, front.volume.Space());
    struct statvfs out;
    std::memset(&out, 0, sizeof(out));
    out.f_bsize = kBlockSize;
    out.f_frsize = kBlockSize;
    out.f_blocks = space.blocks;
    out.f_bfree = space.blocks_free;
    out.f_bavail = space.blocks_available;
    out.f_files = space.inodes;
    out.f_ffree = space.inodes_free;
    out.f_favail = space.inodes_free;
    out.f_namemax = kMaxNameLength;
    fuse_reply_statfs(request, &out);
    return {};
  });
}

void SetXattr(fuse_req_t request, fuse_ino_t ino, const char* name, const char* value, size_t size,
              int flags) {
  AnswerStatus(request, [&](Front& front) -> Status {
    const XattrMode mode = (flags & XATTR_CREATE) != 0    ? XattrMode::kCreate
                           : (flags & XATTR_REPLACE) != 0 ? XattrMode::kReplace
                                                          : XattrMode::kAny;
    return front.volume.SetXattr(ino, name, std::string_view(value, size), mode);
  });
}

void GetXattr(fuse_req_t request, fuse_ino_t ino, const char* name, size_t size) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const std::string value, front.volume.GetXattr(ino, name));
    return ReplyXattr(request, value, size);
  });
}

void ListXattrs(fuse_req_t request, fuse_ino_t ino, size_t size) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const std::vector<std::string> names, front.volume.ListXattrs(ino));
    // Like a disk filesystem: trusted names are shown to the administrator only.
    const bool show_trusted = fuse_req_ctx(request)->uid == 0;
    std::string list;
    for (const std::string& name : names)
      if (show_trusted || !name.starts_with("trusted.")) list.append(name).push_back('\0');
    return ReplyXattr(request, list, size);
  });
}

void RemoveXattr(fuse_req_t request, fuse_ino_t ino, const char* name) {
  AnswerStatus(request, [&](Front& front) { return front.volume.RemoveXattr(ino, name); });
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
// Adds the time of birth, which getattr cannot carry.
void StatExtended(fuse_req_t request, fuse_ino_t ino, int /*flags*/, int /*mask*/,
                  fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes a, front.volume.GetAttributes(ino));
    const auto time = [](const Timestamp& t) {
      statx_timestamp out{};
      out.tv_sec = t.seconds;
      out.tv_nsec = t.nanoseconds;
      return out;
    };
    struct statx out;
    std::memset(&out, 0, sizeof(out));
    out.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    out.stx_blksize = kBlockSize;
    out.stx_nlink = a.nlink;
    out.stx_uid = a.uid;
    out.stx_gid = a.gid;
    out.stx_mode = static_cast<uint16_t>(a.mode);
    out.stx_ino = a.ino;
    out.stx_size = a.size;
    out.stx_blocks = a.blocks;
    out.stx_rdev_major = major(a.rdev);
    out.stx_rdev_minor = minor(a.rdev);
    out.stx_atime = time(a.atime);
    out.stx_mtime = time(a.mtime);
    out.stx_ctime = time(a.ctime);
    out.stx_btime = time(a.btime);
    fuse_reply_statx(request, 0, &out, AttributeSeconds(front));
    return {};
  });
}
#endif

}  // namespace mirdax::fuse
