// SPDX-License-Identifier: BSD-2-Clause
// Inodes, their trees and attributes, and directories.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "fs/base/text.h"
#include "fs/format/checksums.h"
#include "fs/format/node_views.h"
#include "tools/common/dir_walk.h"
#include "tools/common/text.h"
#include "tools/dump/dump.h"

namespace mirdax::dump {
namespace {

Json NodeProblem(BlockNo block, std::string_view what) {
  return {{"block", block}, {"problem", what}};
}

std::string_view NamespacePrefix(XattrNamespace space) {
  switch (space) {
    case XattrNamespace::kUser:
      return "user.";
    case XattrNamespace::kTrusted:
      return "trusted.";
    case XattrNamespace::kSecurity:
      return "security.";
    case XattrNamespace::kAclAccess:
      return "system.posix_acl_access";
    case XattrNamespace::kAclDefault:
      return "system.posix_acl_default";
  }
  return "?";
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// Extents below one node. Bounded by the limit and, in a tree that crosses itself, by the nodes
// met.
class ExtentList {
 public:
  ExtentList(Region& region, const Geometry& geometry, size_t limit, Json& json)
      : region_(region), geometry_(geometry), left_(limit), nodes_left_(limit + kMaxTreeLevel) {
    json["extents"] = Json::array();
    extents_ = &json["extents"];
  }

  bool Add(const ExtentNodeView& view) {
    for (size_t i = 0; i < view.count(); ++i) {
      if (view.level() > 0) {
        if (!Child(view.ChildPlace(i))) return false;
        continue;
      }
      if (left_-- == 0) return false;
      const Extent& extent = view.extents()[i];
      extents_->push_back({{"file_block", extent.file_block},
                           {"pool_block", extent.pool_block},
                           {"length", extent.length},
                           {"unwritten", (extent.flags & kExtentUnwritten) != 0}});
    }
    return true;
  }

 private:
  bool Child(const NodePlace& place) {
    if (nodes_left_-- == 0) return false;
    const std::span<const std::byte, kBlockSize> bytes(
        region_.At(place.self * kBlockSize, kBlockSize), kBlockSize);
    const auto node = ExtentNodeView::Of(bytes, place, geometry_);
    if (!node) {
      extents_->push_back(NodeProblem(place.self, node.error().message));
      return true;
    }
    if (!IsSealedBlock(bytes)) extents_->push_back(NodeProblem(place.self, "wrong checksum"));
    return Add(*node);
  }

  Region& region_;
  const Geometry& geometry_;
  size_t left_;
  size_t nodes_left_;
  Json* extents_;
};

}  // namespace

void Dumper::AddExtents(const InodeDisk& inode, size_t limit, Json& json) {
  const auto root = ExtentNodeView::OfRoot(inode, *geometry_);
  if (!root) {
    json["extents_problem"] = root.error().message;
    return;
  }
  json["tree_level"] = root->level();
  if (!ExtentList(region_, *geometry_, limit, json).Add(*root)) json["extents_cut"] = true;
}

void Dumper::AddXattrs(const InodeDisk& inode, Json& json) {
  if (inode.xattr_block == 0 || !geometry_->IsDataRange(inode.xattr_block, 1)) return;
  const std::span<const std::byte, kBlockSize> bytes(
      region_.At(inode.xattr_block * kBlockSize, kBlockSize), kBlockSize);
  const auto view = XattrBlockView::Of(bytes, inode.xattr_block, inode.ino);
  if (!view) {
    json["xattr_problem"] = view.error().message;
    return;
  }
  if (!IsSealedBlock(bytes)) json["xattr_problem"] = "wrong checksum";
  Json& list = json["xattrs"] = Json::array();
  view->ForEach([&](const XattrView& entry) {
    list.push_back(
        {{"name", fmt::format("{}{}", NamespacePrefix(entry.space), Printable(entry.name))},
         {"length", entry.value.size()},
         {"hex", Hex(entry.value)}});
    return true;
  });
}

void Dumper::AddPayload(const InodeDisk& inode, size_t limit, Json& json) {
  switch (IFTODT(inode.mode & S_IFMT)) {
    case DT_DIR: {
      const auto& root = *reinterpret_cast<const DirRoot*>(inode.payload.data());
      json["root_block"] = root.root;
      json["entry_count"] = root.entry_count;
      break;
    }
    case DT_LNK:
      if ((inode.flags & kInodeInlineLink) != 0) {
        const size_t length = std::min<size_t>(inode.size, kInlineSymlinkMax);
        json["target"] = Printable({reinterpret_cast<const char*>(inode.payload.data()), length});
        break;
      }
      AddExtents(inode, limit, json);
      break;
    case DT_CHR:
    case DT_BLK: {
      uint32_t rdev = 0;
      std::memcpy(&rdev, inode.payload.data(), sizeof(rdev));
      json["device"] = fmt::format("{}:{}", gnu_dev_major(rdev), gnu_dev_minor(rdev));
      break;
    }
    case DT_REG:
      AddExtents(inode, limit, json);
      break;
    default:
      break;
  }
}

Result<Json> Dumper::Inode(Ino ino, size_t limit) {
  MIRDAX_TRY(NeedGeometry());
  if (ino >= geometry_->inode_count) {
    return Fail(ErrorCode::kInvalid, "inode {} is beyond the table of {}", ino,
                geometry_->inode_count);
  }
  const InodeDisk& inode = Slot(ino);
  const auto bit = [&](const PoolRange& bitmap) {
    return ((std::to_integer<unsigned>(*region_.At(bitmap.offset + ino / 8, 1)) >> (ino % 8)) &
            1) != 0;
  };
  const bool in_use = bit(geometry_->inode_bitmap);
  Json json{{"inode", ino},
            {"offset", geometry_->InodeOffset(ino)},
            {"in_use", in_use},
            {"orphan", bit(geometry_->orphan_bitmap)}};
  if (!in_use && inode.magic == 0) {
    json["generation"] = inode.generation;
    return json;
  }
  if (const Status status = CheckInode(inode, ino, *geometry_); !status) {
    json["problem"] = status.error().message.empty() ? "a free slot" : status.error().message;
  } else if (!IsSealed(inode)) {
    json["problem"] = "wrong checksum";
  }
  json["type"] = TypeName(static_cast<uint8_t>(IFTODT(inode.mode & S_IFMT)));
  json["mode"] = fmt::format("{:07o}", inode.mode);
  json["generation"] = inode.generation;
  json["uid"] = inode.uid;
  json["gid"] = inode.gid;
  json["nlink"] = inode.nlink;
  json["flags"] = inode.flags;
  json["size"] = inode.size;
  json["blocks"] = inode.blocks;
  json["xattr_block"] = inode.xattr_block;
  constexpr std::array kTimes{"atime", "mtime", "ctime", "btime"};
  for (size_t i = 0; i < kTimes.size(); ++i) {
    json[kTimes[i]] = TimeText(inode.seconds[i], inode.nanoseconds[i]);
  }
  json["parent"] = inode.parent;
  AddPayload(inode, limit, json);
  AddXattrs(inode, json);
  return json;
}

Result<Json> Dumper::Directory(Ino ino, size_t limit) {
  MIRDAX_TRY(NeedGeometry());
  if (ino == 0 || ino >= geometry_->inode_count || !S_ISDIR(Slot(ino).mode) ||
      Slot(ino).magic != kInodeMagic) {
    return Fail(ErrorCode::kNotDirectory, "inode {} is no directory", ino);
  }
  const InodeDisk& inode = Slot(ino);
  const auto& root = *reinterpret_cast<const DirRoot*>(inode.payload.data());
  Json json{{"inode", ino}, {"parent", inode.parent}, {"entry_count", root.entry_count}};
  Json& nodes = json["nodes"] = Json::array();
  Json entries = Json::array();
  size_t nodes_left = limit + kMaxTreeLevel;
  size_t left = limit;
  if (root.root != 0) {
    DirWalk walk(
        region_, *geometry_,
        [&](BlockNo block) {
          if (!geometry_->IsDataRange(block, 1)) {
            nodes.push_back(NodeProblem(block, "outside the data area"));
            return false;
          }
          if (nodes_left == 0) return false;
          --nodes_left;
          const auto& header = region_.As<BlockHeader>(block * kBlockSize);
          Json node{{"block", block},
                    {"type", BlockTypeName(header.type)},
                    {"level", header.level},
                    {"count", header.count}};
          const std::span<const std::byte, kBlockSize> bytes(
              region_.At(block * kBlockSize, kBlockSize), kBlockSize);
          if (!IsSealedBlock(bytes)) node["problem"] = "wrong checksum";
          nodes.push_back(std::move(node));
          return true;
        },
        [&](BlockNo block, const Error& error) {
          nodes.push_back(NodeProblem(block, error.message));
        },
        [&](const DirEntryView& entry, BlockNo leaf) {
          if (left == 0) return false;
          --left;
          entries.push_back({{"key", fmt::format("{:#018x}", entry.key)},
                             {"inode", entry.ino},
                             {"type", TypeName(entry.type)},
                             {"leaf", leaf},
                             {"name", Printable(entry.name)}});
          return true;
        });
    if (!walk.Run(ino, root.root)) json["entries_cut"] = true;
  }
  json["entries"] = std::move(entries);
  return json;
}

Result<Ino> Dumper::FindPath(std::string_view path) {
  MIRDAX_TRY(NeedGeometry());
  Ino at = kRootIno;
  while (!path.empty()) {
    if (path.front() == '/') {
      path.remove_prefix(1);
      continue;
    }
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    if (at == 0 || at >= geometry_->inode_count || Slot(at).magic != kInodeMagic ||
        !S_ISDIR(Slot(at).mode)) {
      return Fail(ErrorCode::kNotFound, "inode {} is no directory, so it has no '{}'", at,
                  Printable(name));
    }
    const BlockNo root = reinterpret_cast<const DirRoot*>(Slot(at).payload.data())->root;
    Ino found = 0;
    uint64_t nodes_left = geometry_->data_blocks;
    DirWalk walk(
        region_, *geometry_,
        [&](BlockNo block) {
          return geometry_->IsDataRange(block, 1) && nodes_left > 0 && nodes_left-- > 0;
        },
        [](BlockNo, const Error&) {},
        [&](const DirEntryView& entry, BlockNo) {
          if (entry.name == name) found = entry.ino;
          return found == 0;
        });
    if (root != 0) walk.Run(at, root);
    if (found == 0) {
      return Fail(ErrorCode::kNotFound, "no '{}' in the directory with inode {}", Printable(name),
                  at);
    }
    at = found;
  }
  return at;
}

Status Dumper::ForEachInode(const std::function<void(Ino)>& visit) {
  MIRDAX_TRY(NeedGeometry());
  for (uint64_t i = 0; i < (geometry_->inode_count + 63) / 64; ++i) {
    uint64_t word = region_.As<uint64_t>(geometry_->inode_bitmap.offset + i * 8);
    if (i == 0) word &= ~uint64_t{1};
    for (; word != 0; word &= word - 1) {
      const Ino ino = i * 64 + static_cast<unsigned>(std::countr_zero(word));
      if (ino < geometry_->inode_count) visit(ino);
    }
  }
  return {};
}

}  // namespace mirdax::dump
