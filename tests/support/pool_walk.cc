// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/pool_walk.h"

#include <linux/fs.h>
#include <sys/stat.h>

#include <array>

namespace mirdax::test {

void PoolWalk::Run() {
  todo_.push_back(kRootIno);
  seen_.insert(kRootIno);
  while (!todo_.empty()) {
    const Ino ino = todo_.back();
    todo_.pop_back();
    ReadOne(ino);
    ReadNames(ino);
  }
  (void)volume_.Space();
}

void PoolWalk::ReadNames(Ino dir) {
  uint64_t last = 0;
  (void)volume_.ReadDirectory(dir, 0, true, [&](const DirEntry& entry, const Attributes* found) {
    const bool dots = entry.cookie == kDirKeyDot || entry.cookie == kDirKeyDotDot;
    if (found != nullptr && !dots) volume_.Forget(entry.ino, 1);
    if (entry.cookie <= last) {
      violations_.push_back(
          fmt::format("directory {}: cookie {} follows {}", dir, entry.cookie, last));
      return false;
    }
    last = entry.cookie;
    if (!dots) names_.emplace_back(dir, std::string(entry.name));
    if (seen_.insert(entry.ino).second) todo_.push_back(entry.ino);
    return true;
  });
}

void PoolWalk::ReadOne(Ino ino) {
  const auto attributes = volume_.GetAttributes(ino);
  (void)volume_.ReadLink(ino);
  if (const auto names = volume_.ListXattrs(ino)) {
    for (const std::string& name : *names) (void)volume_.GetXattr(ino, name);
  }
  uint64_t sum = 0;
  const auto touch = [&](std::span<const std::span<const std::byte>> spans) {
    for (const auto& span : spans) {
      for (size_t i = 0; i < span.size(); i += kLineSize) sum += std::to_integer<uint64_t>(span[i]);
      if (!span.empty()) sum += std::to_integer<uint64_t>(span.back());
    }
  };
  (void)volume_.Read(ino, 0, uint64_t{1} << 20, touch);
  if (attributes && attributes->size > kBlockSize) {
    (void)volume_.Read(ino, attributes->size - kBlockSize, kBlockSize, touch);
  }
  (void)volume_.Seek(ino, 0, SeekTo::kHole);
  (void)volume_.Seek(ino, kBlockSize, SeekTo::kData);
  sum_ += sum;
}

void PoolWalk::SpoilFile(Ino ino) {
  const std::array<std::byte, 100> bytes{};
  (void)volume_.Write(ino, 5000, bytes);
  (void)volume_.Append(ino, bytes);
  (void)volume_.Allocate(ino, AllocateMode::kPunchHole, 0, 2 * kBlockSize);
  (void)volume_.Allocate(ino, AllocateMode::kAllocate, 16 * kBlockSize, 3 * kBlockSize);
  (void)volume_.CopyRange(ino, 0, ino, 32 * kBlockSize, 9000);
  (void)volume_.Fsync(ino, false);
  AttributeChange change;
  change.size = 4097;
  (void)volume_.SetAttributes(ino, change);
  (void)volume_.SetXattr(ino, "user.new", "value", XattrMode::kAny);
  (void)volume_.RemoveXattr(ino, "user.colour");
}

void PoolWalk::SpoilDirectory(Ino dir, const std::string& name, Ino ino) {
  // In what this name stands for, where it is a directory.
  if (const auto made = volume_.Create(ino, "new", S_IFREG | 0600, {})) {
    (void)volume_.Link(made->ino, dir, "linked");
    (void)volume_.Rename(ino, "new", dir, "moved", 0);
    (void)volume_.Rename(dir, "moved", dir, "linked", RENAME_EXCHANGE);
    (void)volume_.Unlink(dir, "moved");
    (void)volume_.Unlink(dir, "linked");
    volume_.Forget(made->ino, 1);
  }
  if (const auto made = volume_.MakeDirectory(ino, "inside", 0700, {}))
    volume_.Forget(made->ino, 1);
  (void)volume_.RemoveDirectory(ino, "inside");
  (void)volume_.Rename(dir, name, kRootIno, name + "-moved", RENAME_NOREPLACE);
  (void)volume_.Rename(kRootIno, name + "-moved", dir, name, 0);
}

void PoolWalk::Spoil(size_t most) {
  for (const auto& [dir, name] : names_) {
    if (most-- == 0) break;
    const auto found = volume_.Lookup(dir, name);
    if (!found) continue;
    SpoilFile(found->ino);
    SpoilDirectory(dir, name, found->ino);
    if (!volume_.Unlink(dir, name)) (void)volume_.RemoveDirectory(dir, name);
    volume_.Forget(found->ino, 1);
  }
  if (const auto temporary = volume_.OpenTemporary(kRootIno, 0600, {})) {
    volume_.Forget(temporary->ino, 1);
  }
  (void)volume_.SyncAll();
}

}  // namespace mirdax::test
