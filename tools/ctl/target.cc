// SPDX-License-Identifier: BSD-2-Clause
#include "tools/ctl/target.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

namespace mirdax::ctl {
namespace {

namespace fs = std::filesystem;

// "host:port": no slash, digits behind the last colon.
bool LooksLikeAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  return text.find('/') == std::string_view::npos && colon != std::string_view::npos &&
         colon + 1 < text.size() &&
         std::all_of(text.begin() + static_cast<ptrdiff_t>(colon) + 1, text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

// The mount point that `path` is a name of.
std::optional<Target> AsMount(fs::path path, std::string_view mountinfo) {
  constexpr int kMostLinks = 8;
  for (int links = 0; links < kMostLinks; ++links) {
    std::error_code error;
    path = fs::absolute(path, error).lexically_normal();
    if (!path.has_filename() && path.has_parent_path() && path != path.root_path()) {
      path = path.parent_path();  // a slash at the end
    }
    if (const auto device = FindMount(mountinfo, path.native())) {
      return Target{Target::Kind::kMount, path.native(), *device};
    }
    if (path == path.root_path()) return std::nullopt;
    const fs::path above = fs::canonical(path.parent_path(), error);
    if (error) return std::nullopt;
    const fs::path resolved = above / path.filename();
    if (const auto device = FindMount(mountinfo, resolved.native())) {
      return Target{Target::Kind::kMount, resolved.native(), *device};
    }
    if (!fs::is_symlink(resolved, error)) return std::nullopt;
    path = above / fs::read_symlink(resolved, error);
  }
  return std::nullopt;
}

}  // namespace

Result<Target> ParseTarget(const std::string& text, std::string_view mountinfo) {
  if (std::optional<Target> mount = AsMount(text, mountinfo)) return *mount;
  std::error_code error;
  const fs::file_status status = fs::status(text, error);
  if (fs::is_directory(status)) {
    return Fail(ErrorCode::kInvalid,
                "{}: a directory, but nothing is mounted there; name a mount point, HOST:PORT of a "
                "mirror daemon, or a pool",
                text);
  }
  if (fs::exists(status)) return Target{Target::Kind::kPool, text, {}};
  if (LooksLikeAddress(text)) return Target{Target::Kind::kMirror, text, {}};
  return Fail(ErrorCode::kNotFound,
              "{}: no such mount point or pool, and not HOST:PORT of a mirror daemon", text);
}

}  // namespace mirdax::ctl
