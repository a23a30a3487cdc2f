// SPDX-License-Identifier: BSD-2-Clause
// Extended attributes of an inode: one block, made with the first attribute, freed with the last.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fs/core/allocator.h"
#include "fs/core/transaction.h"

namespace mirdax {

struct XattrName {
  XattrNamespace space;
  std::string name;  // without the namespace's prefix; empty for the ACLs
  friend bool operator==(const XattrName&, const XattrName&) = default;
};

inline constexpr uint32_t kXattrCredits = 2;  // the block and its bitmap block

// Changes are made to `inode` (xattr_block, blocks) in DRAM; the caller writes it in the same
// transaction.
//
// Errors:  kNoData: no such attribute. kNoSpace: it does not fit beside the others (as on ext4), or
//          no block is free; kBusy as Allocator::Reserve; kCorrupt (block, what). Nothing is
//          changed then.
// Threads: reads with the inode's lock shared, changes with it exclusive. Locks: none of its own.
class XattrBlock {
 public:
  explicit XattrBlock(Allocator& allocator) : allocator_(allocator) {}

  static Result<std::string> Get(MetaReader& reader, const InodeDisk& inode, XattrNamespace space,
                                 std::string_view name);
  static Result<std::vector<XattrName>> List(MetaReader& reader, const InodeDisk& inode);

  // Creates or replaces. REQUIRES: name.size() <= 255.
  Status Set(Tx& tx, InodeDisk& inode, XattrNamespace space, std::string_view name,
             std::string_view value);
  Status Remove(Tx& tx, InodeDisk& inode, XattrNamespace space, std::string_view name);
  // Frees the block, if there is one: the inode goes.
  Status RemoveAll(Tx& tx, InodeDisk& inode);

 private:
  Allocator& allocator_;
};

}  // namespace mirdax
