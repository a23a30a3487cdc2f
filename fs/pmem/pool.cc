// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/pool.h"

#include <array>
#include <string_view>
#include <utility>

#include "fs/format/superblock.h"
#include "fs/pmem/pool_file.h"
#include "fs/pmem/superblock_pair.h"

namespace mirdax {
namespace {

class FilePool final : public Pool {
 public:
  FilePool(std::unique_ptr<PoolFile> file, std::unique_ptr<Region> region, SuperblockPair pair)
      : file_(std::move(file)), region_(std::move(region)), pair_(pair) {}

  Region& region() noexcept override { return *region_; }
  const Superblock& superblock() const noexcept override { return pair_.superblock(); }
  const Geometry& geometry() const noexcept override { return pair_.geometry(); }
  const std::string& path() const noexcept override { return file_->path(); }
  Status StoreSuperblock(Superblock next) override { return pair_.Store(*region_, next); }

 private:
  const std::unique_ptr<PoolFile> file_;  // outlives the mapping
  const std::unique_ptr<Region> region_;
  SuperblockPair pair_;
};

struct ModeName {
  PmMode mode;
  std::string_view name;
};
constexpr std::array kModeNames = {ModeName{PmMode::kDirect, "direct"},
                                   ModeName{PmMode::kShadow, "shadow"},
                                   ModeName{PmMode::kShadowHalf, "shadow-half"}};

// What is left of a pool is not for mkfs to destroy.
bool HoldsPart(Region& region) {
  for (const uint64_t offset : {kSuperblockOffset, kSuperblockOffset + kBlockSize}) {
    if (offset + kBlockSize <= region.size() &&
        HasSuperblockMagic(ConstBlockSpan(region.At(offset, kBlockSize), kBlockSize)))
      return true;
  }
  return false;
}

std::string_view Remedy(Region& region, ErrorCode code) {
  if (code == ErrorCode::kIncompatible) return "it was left as it is";
  if (code == ErrorCode::kIo) return "go on with another copy of its set";
  return HoldsPart(region) ? "restore all of it, or go on with another copy of its set"
                           : "check the path, or make a pool with mkfs.mirdax";
}

}  // namespace

Result<PmMode> ParsePmMode(std::string_view text) {
  for (const ModeName& row : kModeNames)
    if (row.name == text) return row.mode;
  return Fail(ErrorCode::kInvalid, "'{}' is no pm mode; choose direct, shadow or shadow-half",
              text);
}

Result<std::unique_ptr<Pool>> Pool::Open(const std::string& path, const PoolOptions& options) {
  MIRDAX_ASSIGN(auto file, PoolFile::Open(path, options.access));
  if (file->size() < kBlockSize)
    return Fail(ErrorCode::kCorrupt,
                "{}: has {} bytes, so it is no pool; make one with mkfs.mirdax", path,
                file->size());
  MIRDAX_ASSIGN(auto region, file->Map(options));
  auto pair = SuperblockPair::Load(*region);
  if (!pair)
    return Fail(pair.error().code, "{}: {}; {}", path, pair.error().message,
                Remedy(*region, pair.error().code));
  if (const std::string unknown = UnknownRoCompat(pair->superblock());
      !unknown.empty() && options.access == PoolAccess::kExclusive)
    return Fail(ErrorCode::kIncompatible,
                "{}: features {} are not known to this program, which may only read this pool; "
                "mount it with -o ro, or use a newer mirdax",
                path, unknown);
  return std::make_unique<FilePool>(std::move(file), std::move(region), *pair);
}

Result<std::unique_ptr<Pool>> Pool::OpenRaw(const std::string& path, const PoolOptions& options) {
  MIRDAX_ASSIGN(auto file, PoolFile::Open(path, options.access));
  MIRDAX_ASSIGN(auto region, file->Map(options));
  return std::make_unique<FilePool>(std::move(file), std::move(region), SuperblockPair());
}

}  // namespace mirdax
