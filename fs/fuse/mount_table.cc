// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/mount_table.h"

#include <charconv>
#include <fstream>
#include <sstream>

namespace mirdax {
namespace {

// The kernel writes space, tab, newline and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size()) {
      const char* first = text.data() + i + 1;
      const auto [end, error] = std::from_chars(first, first + 3, value, 8);
      if (error == std::errc{} && end == first + 3 && value < 256) {
        out.push_back(static_cast<char>(value));
        i += 3;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

std::string_view NextWord(std::string_view& line) {
  const size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<DeviceNumber> ParseDevice(std::string_view word) {
  DeviceNumber device;
  const char* end = word.data() + word.size();
  const auto major = std::from_chars(word.data(), end, device.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != ':') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, device.minor);
  if (minor.ec != std::errc{} || minor.ptr != end) return std::nullopt;
  return device;
}

}  // namespace

std::optional<DeviceNumber> FindMount(std::string_view mountinfo, std::string_view directory) {
  std::optional<DeviceNumber> found;
  while (!mountinfo.empty()) {
    const size_t newline = mountinfo.find('\n');
    std::string_view line = mountinfo.substr(0, newline);
    mountinfo.remove_prefix(newline == std::string_view::npos ? mountinfo.size() : newline + 1);
    // id parent major:minor root mount-point options ...
    NextWord(line);
    NextWord(line);
    const std::optional<DeviceNumber> device = ParseDevice(NextWord(line));
    NextWord(line);
    if (device && Unescape(NextWord(line)) == directory) found = device;
  }
  return found;
}

std::string ReadMountTable() {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace mirdax
