// SPDX-License-Identifier: BSD-2-Clause
// Decodes the structures of a pool into JSON. Whatever is invalid is shown and marked with a
// "problem", never a reason to stop as long as it can be found at all.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax::dump {

using Json = nlohmann::ordered_json;

// Errors: kCorrupt when what was asked for cannot be found: no valid superblock says where it is.
//         kNotFound (a path), kInvalid (a number beyond the table).
// Threads: one.
class Dumper {
 public:
  // REQUIRES: at least kDynamicAreaOffset bytes.
  explicit Dumper(Region& region);

  Json Superblocks();
  Json PrivateBlocks();
  // Records from `from` (the tail, when not given) up to the commit word.
  Result<Json> Journal(std::optional<Lsn> from);
  // Attributes, extents, attributes of the xattr block. At most `limit` extents.
  Result<Json> Inode(Ino ino, size_t limit);
  // At most `limit` entries.
  Result<Json> Directory(Ino ino, size_t limit);
  // Free blocks and inodes; each group with its largest run; every run when `runs`.
  Result<Json> Free(bool runs);

  // The inode that "/a/b" names.
  Result<Ino> FindPath(std::string_view path);
  // Calls `visit` for every inode number whose bit is set.
  Status ForEachInode(const std::function<void(Ino)>& visit);

  // Applies the journal in this view first, as a mount would.
  Status Replay();

 private:
  Status NeedGeometry() const;
  std::string AreaOf(const Patch& patch) const;
  const InodeDisk& Slot(Ino ino) { return region_.As<InodeDisk>(geometry_->InodeOffset(ino)); }
  void AddPayload(const InodeDisk& inode, size_t limit, Json& json);
  void AddExtents(const InodeDisk& inode, size_t limit, Json& json);
  void AddXattrs(const InodeDisk& inode, Json& json);

  Region& region_;
  std::string superblock_problem_;
  std::optional<Geometry> geometry_;
  std::optional<PrivateBlock> private_block_;
};

}  // namespace mirdax::dump
