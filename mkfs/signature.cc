// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/signature.h"

#include <blkid/blkid.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "fs/base/uuid.h"
#include "fs/format/superblock.h"

namespace mirdax {
namespace {

struct ProbeDelete {
  void operator()(blkid_probe probe) const noexcept { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<blkid_struct_probe, ProbeDelete>;

Result<Probe> NewProbe(int fd) {
  Probe probe(blkid_new_probe());
  if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0)
    return Fail(ErrorCode::kIo, "libblkid cannot look for other filesystems");
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
                                                     BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC);
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
  return probe;
}

std::string Value(const Probe& probe, const char* name) {
  const char* data = nullptr;
  if (blkid_probe_lookup_value(probe.get(), name, &data, nullptr) != 0) return {};
  // Foreign bytes go to a terminal.
  std::string text(data);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string Describe(const Probe& probe) {
  if (const std::string type = Value(probe, "TYPE"); !type.empty()) {
    const std::string label = Value(probe, "LABEL");
    const std::string_view kind =
        Value(probe, "USAGE") == "filesystem" ? "filesystem" : "signature";
    return label.empty() ? fmt::format("a {} of type {}", kind, type)
                         : fmt::format("a {} of type {} (label '{}')", kind, type, label);
  }
  if (const std::string type = Value(probe, "PTTYPE"); !type.empty())
    return fmt::format("a partition table of type {}", type);
  return "an unknown signature";
}

}  // namespace

Result<std::string> FindForeignSignature(int fd) {
  MIRDAX_ASSIGN(const Probe probe, NewProbe(fd));
  const int result = blkid_do_probe(probe.get());
  if (result == 0) return Describe(probe);
  if (result == 1) return std::string();
  return Fail(ErrorCode::kIo, "libblkid failed to look for other filesystems");
}

Result<std::string> FindForeignSignatureIn(std::span<const std::byte> start) {
  const int fd = memfd_create("mkfs.mirdax", MFD_CLOEXEC);
  if (fd < 0) return Fail(FromErrno(errno, "memfd_create"));
  Result<std::string> found = Fail(ErrorCode::kNoMemory, "no memory to look for filesystems");
  if (write(fd, start.data(), start.size()) == static_cast<ssize_t>(start.size()))
    found = FindForeignSignature(fd);
  close(fd);
  return found;
}

Status WipeForeignSignatures(int fd) {
  MIRDAX_ASSIGN(const Probe probe, NewProbe(fd));
  while (blkid_do_probe(probe.get()) == 0)
    if (blkid_do_wipe(probe.get(), 0) != 0)
      return Fail(ErrorCode::kIo, "libblkid failed to erase the signature of {}", Describe(probe));
  return {};
}

std::string FindPool(std::span<const std::byte> start) {
  if (start.size() < 2 * kBlockSize) return {};
  const ConstBlockSpan a = start.first<kBlockSize>();
  const ConstBlockSpan b = start.subspan<kBlockSize, kBlockSize>();
  const auto choice = ChooseSuperblock(a, b);
  if (choice) {
    const Superblock& sb = choice->superblock;
    if ((sb.incompat & kIncompatBlank) != 0) return "a blank mirdax mirror";
    return fmt::format("a mirdax pool (label '{}', set {})", LabelOf(sb),
                       Uuid{sb.set_uuid}.ToString());
  }
  if (choice.error().code == ErrorCode::kIncompatible) return "a mirdax pool of a newer format";
  return HasSuperblockMagic(a) || HasSuperblockMagic(b) ? "a damaged mirdax pool" : "";
}

}  // namespace mirdax
