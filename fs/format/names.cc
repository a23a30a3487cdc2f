// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/names.h"

namespace mirdax {

std::string_view RoleName(Role role) noexcept {
  switch (role) {
    case Role::kPrimary:
      return "primary";
    case Role::kMirror:
      return "mirror";
    case Role::kWitness:
      return "witness";
  }
  return "unknown";
}

std::string_view StateName(CopyState state) noexcept {
  switch (state) {
    case CopyState::kBlank:
      return "blank";
    case CopyState::kFilling:
      return "filling";
    case CopyState::kConsistent:
      return "consistent";
  }
  return "unknown";
}

std::string_view MemberStateName(MemberState state) noexcept {
  switch (state) {
    case MemberState::kNone:
      return "none";
    case MemberState::kInSync:
      return "in-sync";
    case MemberState::kOutOfSync:
      return "out-of-sync";
  }
  return "unknown";
}

std::string_view MemberAddress(const Member& member) noexcept {
  const std::string_view address(member.address.data(), member.address.size());
  return address.substr(0, address.find('\0'));
}

}  // namespace mirdax
