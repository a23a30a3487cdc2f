// SPDX-License-Identifier: BSD-2-Clause
#include "tools/common/text.h"

#include <dirent.h>
#include <fmt/format.h>

#include <ctime>

namespace mirdax {

std::string Printable(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || c == '\'' || c == '\\') {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text;
}

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

std::string_view TypeName(uint8_t type) noexcept {
  switch (type) {
    case DT_REG:
      return "file";
    case DT_DIR:
      return "directory";
    case DT_LNK:
      return "symlink";
    case DT_CHR:
      return "char-device";
    case DT_BLK:
      return "block-device";
    case DT_FIFO:
      return "fifo";
    case DT_SOCK:
      return "socket";
    default:
      return "unknown";
  }
}

std::string_view BlockTypeName(BlockType type) noexcept {
  switch (type) {
    case BlockType::kExtentNode:
      return "extent-node";
    case BlockType::kDirIndex:
      return "dir-index";
    case BlockType::kDirLeaf:
      return "dir-leaf";
    case BlockType::kXattr:
      return "xattr";
  }
  return "unknown";
}

std::string TimeText(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return fmt::format("@{}", seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int64_t{1900} + parts.tm_year,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string ErrorText(const std::string& path, const Error& error) {
  if (error.message.find(path) != std::string::npos) return error.message;
  return fmt::format("{}: {}", path,
                     error.message.empty() ? ErrorCodeName(error.code) : error.message);
}

}  // namespace mirdax
