// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/format_pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>

#include "fs/pmem/pool_file.h"
#include "mkfs/file_zeros.h"
#include "mkfs/signature.h"

namespace mirdax {
namespace {

// Where every signature worth finding on a device without read(2) begins.
constexpr uint64_t kSignatureBytes = uint64_t{1} << 20;

tl::unexpected<Error> At(const std::string& path, const Error& error) {
  return Fail(error.code, "{}: {}", path, error.message);
}

// A file made by this run: removed again unless it is kept.
class NewFile {
 public:
  static Result<NewFile> Create(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return Fail(FromErrno(errno, path + ": creating it"));
    close(fd);
    return NewFile(path);
  }
  NewFile(NewFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  // Keeps it, and makes its name durable.
  Status Keep() {
    const std::filesystem::path file = std::exchange(path_, {});
    const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
    const int fd = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;
    const int error_number = errno;
    if (fd >= 0) close(fd);
    if (!done) return Fail(FromErrno(error_number, parent.string() + ": syncing the directory"));
    return {};
  }

 private:
  explicit NewFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<std::string> FindContents(const PoolFile& file, PoolAccess access) {
  if (file.size() < kBlockSize) return std::string();
  MIRDAX_ASSIGN(const auto region, file.Map({.access = access}));
  const auto start = region->memory().first(std::min(region->size(), kSignatureBytes));
  if (std::string pool = FindPool(start); !pool.empty()) return pool;
  auto found = file.is_device() ? FindForeignSignatureIn(start) : FindForeignSignature(file.fd());
  if (!found) return At(file.path(), found.error());
  return found;
}

// In whole blocks: neither a region nor a pool has others.
Result<uint64_t> ChooseSize(const PoolFile& file, const FormatPoolOptions& options) {
  const auto whole_blocks = [](uint64_t bytes) { return bytes / kBlockSize * kBlockSize; };
  if (!options.size) return whole_blocks(file.size());
  if (file.is_device() && *options.size > file.size())
    return Fail(ErrorCode::kInvalid, "{}: has {} bytes, but {} are wanted; choose a smaller size",
                file.path(), file.size(), *options.size);
  return whole_blocks(*options.size);
}

uint64_t Shortfall(const PoolFile& file, uint64_t pool_size) {
  struct stat info = {};
  struct statvfs below = {};
  if (file.is_device() || fstat(file.fd(), &info) != 0 || fstatvfs(file.fd(), &below) != 0)
    return 0;
  const uint64_t held = static_cast<uint64_t>(info.st_blocks) * 512;
  const uint64_t available = held + below.f_bavail * below.f_frsize;
  return pool_size > available ? pool_size - available : 0;
}

Status Grow(PoolFile& file, uint64_t size) {
  if (file.is_device() || size <= file.size()) return {};
  if (ftruncate(file.fd(), static_cast<off_t>(size)) != 0)
    return Fail(FromErrno(errno, fmt::format("{}: growing it to {} bytes", file.path(), size)));
  return file.UpdateSize();
}

}  // namespace

Result<FormatPoolReport> FormatPool(const std::string& path, const FormatPoolOptions& options,
                                    Random& random, Clock& clock) {
  FormatPoolReport report;
  FormatOptions format = options.format;
  std::optional<NewFile> created;
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) {
    if (lstat(path.c_str(), &info) == 0) {
      return Fail(
          ErrorCode::kNotFound,
          "{}: a symbolic link to what does not exist; give the path of the file to create, "
          "or remove the link",
          path);
    }
    if (!options.size) {
      return Fail(ErrorCode::kNotFound,
                  "{}: there is no such file or device; give a size with -s to create a file",
                  path);
    }
    // Nothing is created for a format that will be refused.
    auto planned = PlanFormat(*options.size, format);
    if (!planned) return At(path, planned.error());
    report.created = true;
    report.format.geometry = *planned;
    if (options.dry_run) return report;
    MIRDAX_ASSIGN(NewFile file, NewFile::Create(path));
    created.emplace(std::move(file));
  }

  const PoolAccess access = options.dry_run ? PoolAccess::kShared : PoolAccess::kExclusive;
  MIRDAX_ASSIGN(const auto file, PoolFile::Open(path, access));
  MIRDAX_ASSIGN(const std::string contents, FindContents(*file, access));
  if (!contents.empty() && !options.force)
    return Fail(ErrorCode::kExists, "{}: holds {}; check the path, or use --force to destroy it",
                path, contents);
  MIRDAX_ASSIGN(format.pool_size, ChooseSize(*file, options));
  auto planned = PlanFormat(std::max(file->size(), format.pool_size), format);
  if (!planned) return At(path, planned.error());
  report.format.geometry = *planned;
  report.shortfall = Shortfall(*file, planned->pool_size);
  if (options.dry_run) return report;

  MIRDAX_TRY(Grow(*file, format.pool_size));
  if (!contents.empty() && !file->is_device()) {
    if (auto wiped = WipeForeignSignatures(file->fd()); !wiped) return At(path, wiped.error());
  }
  MIRDAX_ASSIGN(const auto region, file->Map({}));
  report.granularity = region->granularity();
  if (!file->is_device())
    format.zero = [&](PoolRange range) { return ZeroFileRange(file->fd(), *region, range); };
  auto formatted = FormatRegion(*region, format, random, clock);
  if (!formatted) return At(path, formatted.error());
  report.format = *formatted;
  // The file's size and its blocks, beyond the pages that the region has made durable.
  if (!file->is_device() && fsync(file->fd()) != 0) return Fail(FromErrno(errno, path));
  if (created) {
    MIRDAX_TRY(created->Keep());
  }
  return report;
}

}  // namespace mirdax
