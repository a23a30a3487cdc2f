// SPDX-License-Identifier: BSD-2-Clause
// POSIX access control lists, as the kernel passes them: the value of system.posix_acl_access and
// system.posix_acl_default (linux/posix_acl_xattr.h, version 2).
//
//   0: uint32 version = 2; then entries of 8 bytes: uint16 tag, uint16 permissions, uint32 id
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/base/result.h"

namespace mirdax {

class PosixAcl {
 public:
  // True for a value without entries, which stands for "no list".
  static bool IsEmpty(std::string_view value) noexcept;
  // kInvalid unless the bytes are one valid list: base entries once, in order, mask where needed.
  static Result<PosixAcl> Parse(std::string_view value);
  std::string Serialize() const;

  // True when the permission bits of a mode say the same: such a list is not stored.
  bool EquivalentToMode() const noexcept;
  // The permission bits that stat shows: owner, mask (or group), others.
  uint32_t Mode() const noexcept;
  // chmod: owner, mask (or group) and others become those of `mode`.
  void SetMode(uint32_t mode) noexcept;
  // A new file in a directory with this default list: permissions not asked for in `mode` are taken
  // away from the list; returns `mode` without the permissions that the list does not give.
  uint32_t Inherit(uint32_t mode) noexcept;

 private:
  struct Entry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
  };
  Entry* Find(uint16_t tag) noexcept;
  const Entry* Find(uint16_t tag) const noexcept;

  std::vector<Entry> entries_;
};

}  // namespace mirdax
