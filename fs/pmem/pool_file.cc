// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/pool_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "fs/pmem/lock_holder.h"
#include "fs/pmem/pmem2_map.h"

namespace mirdax {
namespace {

tl::unexpected<Error> OpenFailed(const std::string& path, int error_number) {
  switch (error_number) {
    case ENOENT:
      return Fail(ErrorCode::kNotFound, "{}: there is no such file or device; check the path",
                  path);
    case EACCES:
    case EPERM:
      return Fail(ErrorCode::kAccess, "{}: permission denied; run as root or as its owner", path);
    case EROFS:
      return Fail(ErrorCode::kAccess, "{}: lies on a read-only filesystem", path);
    case EISDIR:
      return Fail(ErrorCode::kInvalid, "{}: is a directory; name the pool's file or device", path);
    default:
      return Fail(FromErrno(error_number, path));
  }
}

}  // namespace

Result<std::unique_ptr<PoolFile>> PoolFile::Open(const std::string& path, PoolAccess access) {
  const int mode = access == PoolAccess::kExclusive ? O_RDWR : O_RDONLY;
  // NONBLOCK: opening a FIFO by mistake must not hang.
  const int fd = open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return OpenFailed(path, errno);
  std::unique_ptr<PoolFile> file(new PoolFile(path, fd));
  struct stat info = {};
  if (fstat(fd, &info) != 0) return Fail(FromErrno(errno, path));
  if (S_ISDIR(info.st_mode)) return OpenFailed(path, EISDIR);
  if (S_ISBLK(info.st_mode))
    return Fail(ErrorCode::kInvalid,
                "{}: is a block device; a pool needs a devdax device (ndctl create-namespace "
                "--mode=devdax) or a file",
                path);
  if (!S_ISREG(info.st_mode) && !S_ISCHR(info.st_mode))
    return Fail(ErrorCode::kInvalid, "{}: is neither a file nor a devdax device", path);
  file->is_device_ = S_ISCHR(info.st_mode);
  if (auto sized = file->UpdateSize(); !sized) {
    if (!file->is_device_) return Fail(sized.error());
    return Fail(ErrorCode::kInvalid, "{}: is no devdax device; name one, or a file", path);
  }
  MIRDAX_TRY(file->Lock(access));
  return file;
}

PoolFile::~PoolFile() { close(fd_); }

Status PoolFile::UpdateSize() {
  MIRDAX_ASSIGN(size_, SizeWithPmem2(fd_, path_));
  return {};
}

Status PoolFile::Lock(PoolAccess access) const {
  const int kind = access == PoolAccess::kExclusive ? LOCK_EX : LOCK_SH;
  if (flock(fd_, kind | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return Fail(FromErrno(errno, path_ + ": locking"));
  return Fail(ErrorCode::kBusy, "{}: is in use by {}; unmount it or stop that process first", path_,
              DescribeLockHolder(fd_));
}

}  // namespace mirdax
