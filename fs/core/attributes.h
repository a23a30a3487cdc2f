// SPDX-License-Identifier: BSD-2-Clause
// Attributes and extended attributes of an inode, access control lists among them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fs/core/file_space.h"
#include "fs/core/syncer.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// See Volume for what each call does. Threads: every method by any.
class AttributeOperations {
 public:
  AttributeOperations(VolumeContext& volume, FileSpace& space, Syncer& syncer)
      : volume_(volume), space_(space), syncer_(syncer) {}

  Result<Attributes> Get(Ino ino);
  Result<Attributes> Set(Ino ino, const AttributeChange& change);

  Result<std::string> GetXattr(Ino ino, std::string_view name);
  Result<std::vector<std::string>> ListXattrs(Ino ino);
  Status SetXattr(Ino ino, std::string_view name, std::string_view value, XattrMode mode);
  Status RemoveXattr(Ino ino, std::string_view name);

 private:
  // Runs `body` on the inode under its lock, again while space can be had (VolumeContext::Retry).
  // Returns the last transaction that changed the inode.
  template <typename Body>
  Result<TxId> Modify(Ino ino, Body body);
  Status Change(Inode& inode, const AttributeChange& change) MIRDAX_REQUIRES(inode.mutex);
  Status StoreXattr(Inode& inode, const XattrName& name, std::string_view value, XattrMode mode)
      MIRDAX_REQUIRES(inode.mutex);
  Status DropXattr(Inode& inode, const XattrName& name) MIRDAX_REQUIRES(inode.mutex);

  VolumeContext& volume_;
  FileSpace& space_;
  Syncer& syncer_;
};

}  // namespace mirdax
