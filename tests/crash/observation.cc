// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/observation.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <tuple>
#include <utility>
#include <vector>

namespace mirdax::crash {
namespace {

Result<std::vector<BlockState>> Blocks(Volume& volume, Ino ino) {
  MIRDAX_ASSIGN(const std::vector<AllocatedRun> runs, volume.Allocated(ino));
  std::vector<BlockState> blocks;
  for (const AllocatedRun& run : runs) {
    blocks.resize(run.first, BlockState::kHole);
    blocks.resize(run.first + run.length,
                  run.unwritten ? BlockState::kUnwritten : BlockState::kWritten);
  }
  return blocks;
}

Status See(Volume& volume, Ino ino, SeenNode& node) {
  MIRDAX_ASSIGN(node.attributes, volume.GetAttributes(ino));
  const uint32_t mode = node.attributes.mode;
  if (S_ISLNK(mode)) {
    MIRDAX_ASSIGN(node.target, volume.ReadLink(ino));
  }
  if (S_ISREG(mode) || S_ISDIR(mode)) {
    MIRDAX_ASSIGN(const std::vector<std::string> names, volume.ListXattrs(ino));
    for (const std::string& name : names) {
      MIRDAX_ASSIGN(node.xattrs[name], volume.GetXattr(ino, name));
    }
  }
  if (!S_ISREG(mode)) return {};
  MIRDAX_ASSIGN(node.blocks, Blocks(volume, ino));
  node.bytes.reserve(node.attributes.size);
  return volume.Read(ino, 0, node.attributes.size,
                     [&node](std::span<const std::span<const std::byte>> spans) {
                       const FileDataAccess access;
                       for (const auto span : spans) {
                         node.bytes.append(reinterpret_cast<const char*>(span.data()), span.size());
                       }
                     });
}

struct Listed {
  std::string name;
  Ino ino;
  uint8_t type;
};

Result<std::vector<Listed>> List(Volume& volume, Ino dir) {
  std::vector<Listed> names;
  MIRDAX_TRY(
      volume.ReadDirectory(dir, 0, false, [&names](const DirEntry& entry, const Attributes*) {
        names.push_back({std::string(entry.name), entry.ino, entry.type});
        return true;
      }));
  return names;
}

Status Enter(Volume& volume, Ino dir, const Listed& entry, Observation& all) {
  MIRDAX_ASSIGN(const Attributes found, volume.Lookup(dir, entry.name));
  volume.Forget(found.ino, 1);
  if (found.ino != entry.ino || IFTODT(found.mode) != entry.type) {
    return Fail(ErrorCode::kCorrupt, "'{}' in inode {} is listed as inode {} of type {}, found {}",
                entry.name, dir, entry.ino, entry.type, found.ino);
  }
  if (!all.nodes[dir].entries.emplace(entry.name, entry.ino).second) {
    return Fail(ErrorCode::kCorrupt, "'{}' is listed twice in inode {}", entry.name, dir);
  }
  return {};
}

}  // namespace

Result<Observation> Observe(Volume& volume) {
  Observation all;
  std::vector<Ino> to_see{kRootIno};
  all.nodes[kRootIno];
  while (!to_see.empty()) {
    const Ino ino = to_see.back();
    to_see.pop_back();
    MIRDAX_TRY(See(volume, ino, all.nodes[ino]));
    if (!S_ISDIR(all.nodes[ino].attributes.mode)) continue;
    MIRDAX_ASSIGN(const std::vector<Listed> names, List(volume, ino));
    for (const Listed& entry : names) {
      if (entry.name == ".") continue;
      if (entry.name == "..") {
        all.nodes[ino].parent = entry.ino;
        continue;
      }
      MIRDAX_TRY(Enter(volume, ino, entry, all));
      const bool fresh = all.nodes.try_emplace(entry.ino).second;
      if (fresh) {
        to_see.push_back(entry.ino);
      } else if (entry.type == DT_DIR) {
        return Fail(ErrorCode::kCorrupt, "directory {} has two names", entry.ino);
      }
    }
  }
  MIRDAX_ASSIGN(all.space, volume.Space());
  return all;
}

std::optional<std::string> Differs(const Observation& seen, const Observation& shown) {
  const auto attributes = [](const SeenNode& node) {
    const Attributes& of = node.attributes;
    return std::tie(of.ino, of.generation, of.mode, of.nlink, of.uid, of.gid, of.rdev, of.size,
                    of.blocks, of.atime, of.mtime, of.ctime, of.btime);
  };
  if (seen.nodes.size() != shown.nodes.size())
    return fmt::format("it has {} inodes, the other copy {}", seen.nodes.size(),
                       shown.nodes.size());
  for (const auto& [ino, node] : seen.nodes) {
    const auto other = shown.nodes.find(ino);
    if (other == shown.nodes.end()) return fmt::format("the other copy has no inode {}", ino);
    const SeenNode& as = other->second;
    if (attributes(node) != attributes(as))
      return fmt::format("inode {} has other attributes than on the other copy", ino);
    if (node.bytes != as.bytes || node.target != as.target)
      return fmt::format("inode {} has other bytes than on the other copy", ino);
    if (node.xattrs != as.xattrs || node.entries != as.entries || node.parent != as.parent)
      return fmt::format("inode {} has other names than on the other copy", ino);
  }
  return std::nullopt;
}

}  // namespace mirdax::crash
