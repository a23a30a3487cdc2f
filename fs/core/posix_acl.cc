// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/posix_acl.h"

#include <cstring>

namespace mirdax {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint16_t kUserObject = 0x01;
constexpr uint16_t kUser = 0x02;
constexpr uint16_t kGroupObject = 0x04;
constexpr uint16_t kGroup = 0x08;
constexpr uint16_t kMask = 0x10;
constexpr uint16_t kOther = 0x20;
constexpr size_t kEntrySize = 8;

bool IsNamed(uint16_t tag) { return tag == kUser || tag == kGroup; }

}  // namespace

PosixAcl::Entry* PosixAcl::Find(uint16_t tag) noexcept {
  for (Entry& entry : entries_) {
    if (entry.tag == tag) return &entry;
  }
  return nullptr;
}

const PosixAcl::Entry* PosixAcl::Find(uint16_t tag) const noexcept {
  return const_cast<PosixAcl*>(this)->Find(tag);
}

bool PosixAcl::IsEmpty(std::string_view value) noexcept {
  return value.empty() || value == std::string_view("\2\0\0\0", sizeof(kVersion));
}

Result<PosixAcl> PosixAcl::Parse(std::string_view value) {
  uint32_t version = 0;
  if (value.size() < sizeof(version) || (value.size() - sizeof(version)) % kEntrySize != 0) {
    return Fail(ErrorCode::kInvalid, "an access control list of {} bytes", value.size());
  }
  std::memcpy(&version, value.data(), sizeof(version));
  if (version != kVersion) {
    return Fail(ErrorCode::kNotSupported, "access control list of version {}", version);
  }
  PosixAcl acl;
  bool named = false;
  uint16_t last = 0;
  for (size_t at = sizeof(version); at < value.size(); at += kEntrySize) {
    Entry entry{};
    static_assert(sizeof(entry) == kEntrySize);
    std::memcpy(&entry, value.data() + at, kEntrySize);
    // Tags are single bits in the order that the list must have; only named ones repeat.
    const bool known = entry.tag == kUserObject || entry.tag == kGroupObject ||
                       entry.tag == kMask || entry.tag == kOther || IsNamed(entry.tag);
    const bool ordered = entry.tag > last || (entry.tag == last && IsNamed(entry.tag));
    if (!known || !ordered || entry.permissions > 7) {
      return Fail(ErrorCode::kInvalid, "access control list entry {} makes no sense",
                  acl.entries_.size());
    }
    named = named || IsNamed(entry.tag);
    last = entry.tag;
    acl.entries_.push_back(entry);
  }
  if (acl.Find(kUserObject) == nullptr || acl.Find(kGroupObject) == nullptr ||
      acl.Find(kOther) == nullptr || (named && acl.Find(kMask) == nullptr)) {
    return Fail(ErrorCode::kInvalid, "access control list lacks a required entry");
  }
  return acl;
}

std::string PosixAcl::Serialize() const {
  std::string value(sizeof(kVersion) + entries_.size() * kEntrySize, '\0');
  std::memcpy(value.data(), &kVersion, sizeof(kVersion));
  std::memcpy(value.data() + sizeof(kVersion), entries_.data(), entries_.size() * kEntrySize);
  return value;
}

bool PosixAcl::EquivalentToMode() const noexcept { return entries_.size() == 3; }

uint32_t PosixAcl::Mode() const noexcept {
  const Entry* const group = Find(kMask) != nullptr ? Find(kMask) : Find(kGroupObject);
  return (uint32_t{Find(kUserObject)->permissions} << 6) | (uint32_t{group->permissions} << 3) |
         Find(kOther)->permissions;
}

void PosixAcl::SetMode(uint32_t mode) noexcept {
  Entry* const group = Find(kMask) != nullptr ? Find(kMask) : Find(kGroupObject);
  Find(kUserObject)->permissions = static_cast<uint16_t>((mode >> 6) & 7);
  group->permissions = static_cast<uint16_t>((mode >> 3) & 7);
  Find(kOther)->permissions = static_cast<uint16_t>(mode & 7);
}

uint32_t PosixAcl::Inherit(uint32_t mode) noexcept {
  const uint32_t allowed = mode & Mode() & 0777;
  SetMode(allowed);
  return (mode & ~uint32_t{0777}) | allowed;
}

}  // namespace mirdax
