// SPDX-License-Identifier: BSD-2-Clause
#include "tools/common/text.h"

#include <dirent.h>
#include <fmt/format.h>

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

std::string ErrorText(const std::string& path, const Error& error) {
  if (error.message.find(path) != std::string::npos) return error.message;
  return fmt::format("{}: {}", path,
                     error.message.empty() ? ErrorCodeName(error.code) : error.message);
}

}  // namespace mirdax
