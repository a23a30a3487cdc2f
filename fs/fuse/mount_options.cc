// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/mount_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>

namespace mirdax {
namespace {

using std::string_view;

// One option of -o. Flags get an empty value.
struct OptionRow {
  string_view name;
  enum Kind : uint8_t { kFlag, kValue } kind;
  Status (*apply)(MountOptions&, string_view name, string_view value);
};

Status BadValue(string_view name, string_view value, string_view expected) {
  return Fail(ErrorCode::kInvalid, "-o {}={}: expected {}", name, value, expected);
}

Result<uint64_t> ParseNumber(string_view name, string_view text, uint64_t low, uint64_t high) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < low || number > high) {
    return Fail(ErrorCode::kInvalid, "-o {}={}: expected a whole number from {} to {}", name, text,
                low, high);
  }
  return number;
}

// The daemon in the background works in /.
std::string Absolute(string_view path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

constexpr double kMinCommitSeconds = 0.01;
constexpr double kMaxCommitSeconds = 300;

Status SetCommit(MountOptions& options, string_view name, string_view value) {
  double seconds = 0;
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + value.size(), seconds, std::chars_format::fixed);
  if (error != std::errc{} || end != value.data() + value.size() ||
      !(seconds >= kMinCommitSeconds && seconds <= kMaxCommitSeconds))
    return BadValue(name, value, "seconds from 0.01 to 300");
  options.commit_interval = std::chrono::milliseconds(std::llround(seconds * 1000));
  return {};
}

// "host:port" or "[v6]:port"; names are resolved later, by the fabric.
bool LooksLikeAddress(string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == string_view::npos || colon == 0 || text.size() > 95) return false;
  const string_view host = text.substr(0, colon);
  const string_view port = text.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
  if (!bracketed && host.find_first_of(":[]") != string_view::npos) return false;
  const auto printable = [](char c) { return c > ' ' && c < 0x7f && c != '/'; };
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return std::all_of(host.begin(), host.end(), printable) && error == std::errc{} &&
         end == port.data() + port.size() && number >= 1 && number <= 65535;
}

Status AddMirror(MountOptions& options, string_view name, string_view value) {
  if (!LooksLikeAddress(value)) {
    return BadValue(name, value, "HOST:PORT or [IPV6]:PORT of a mirdax-mirrord");
  }
  if (std::find(options.mirrors.begin(), options.mirrors.end(), value) != options.mirrors.end())
    return Fail(ErrorCode::kInvalid, "-o {}={}: given twice; name each mirror once", name, value);
  if (options.mirrors.size() >= kMaxMirrors) {
    return Fail(ErrorCode::kInvalid, "-o {}={}: a set has at most {} mirrors", name, value,
                kMaxMirrors);
  }
  options.mirrors.emplace_back(value);
  return {};
}

Status SetPm(MountOptions& options, string_view name, string_view value) {
  const Result<PmMode> mode = ParsePmMode(value);
  if (!mode) return BadValue(name, value, "direct, shadow or shadow-half");
  options.pm = *mode;
  return {};
}

Status KeepForKernel(MountOptions& options, string_view name, string_view) {
  options.kernel_flags.emplace_back(name);
  return {};
}

Status Ignore(MountOptions&, string_view, string_view) { return {}; }

Status RefuseRemount(MountOptions&, string_view, string_view) {
  return Fail(ErrorCode::kInvalid,
              "-o remount: a mirdax mount cannot change its options; unmount and mount again");
}

#define MIRDAX_SET(statement)                            \
  [](MountOptions& o, [[maybe_unused]] string_view name, \
     [[maybe_unused]] string_view value) -> Status {     \
    statement;                                           \
    return {};                                           \
  }

constexpr auto kFlag = OptionRow::kFlag;
constexpr auto kValue = OptionRow::kValue;

constexpr std::array kRows = {
    OptionRow{"mirror", kValue, AddMirror},
    OptionRow{"key", kValue, MIRDAX_SET(o.key_file = Absolute(value))},
    OptionRow{"no_auth", kFlag, MIRDAX_SET(o.no_auth = true)},
    OptionRow{"fabric", kValue, MIRDAX_SET(o.fabric = value)},
    OptionRow{"mirror_timeout", kValue,
              MIRDAX_SET(MIRDAX_ASSIGN(const uint64_t ms, ParseNumber(name, value, 10, 600000));
                         o.mirror_timeout = std::chrono::milliseconds(ms))},
    OptionRow{"degraded", kFlag, MIRDAX_SET(o.degraded = true)},
    OptionRow{"commit", kValue, SetCommit},
    OptionRow{"ro", kFlag, MIRDAX_SET(o.read_only = true)},
    OptionRow{"rw", kFlag, MIRDAX_SET(o.read_only = false)},
    OptionRow{"sync", kFlag, MIRDAX_SET(o.sync_always = true)},
    OptionRow{"dirsync", kFlag, MIRDAX_SET(o.sync_always = true)},
    OptionRow{"async", kFlag, MIRDAX_SET(o.sync_always = false)},
    OptionRow{"writeback", kFlag, MIRDAX_SET(o.writeback = true)},
    OptionRow{"nowriteback", kFlag, MIRDAX_SET(o.writeback = false)},
    OptionRow{"direct_io", kFlag, MIRDAX_SET(o.direct_io = true)},
    OptionRow{"allow_other", kFlag, MIRDAX_SET(o.allow_other = true)},
    OptionRow{"max_threads", kValue,
              MIRDAX_SET(MIRDAX_ASSIGN(const uint64_t n, ParseNumber(name, value, 1, 1024));
                         o.max_threads = static_cast<unsigned>(n))},
    OptionRow{"pm", kValue, SetPm},
    OptionRow{"pm_seed", kValue,
              MIRDAX_SET(MIRDAX_ASSIGN(o.pm_seed, ParseNumber(name, value, 0, UINT64_MAX)))},
    OptionRow{"noatime", kFlag, MIRDAX_SET(o.noatime = true; o.kernel_flags.emplace_back(name))},
    OptionRow{"atime", kFlag, MIRDAX_SET(o.noatime = false)},
    OptionRow{"relatime", kFlag, MIRDAX_SET(o.noatime = false)},
    OptionRow{"strictatime", kFlag, MIRDAX_SET(o.noatime = false)},
    OptionRow{"suid", kFlag, KeepForKernel},
    OptionRow{"nosuid", kFlag, KeepForKernel},
    OptionRow{"dev", kFlag, KeepForKernel},
    OptionRow{"nodev", kFlag, KeepForKernel},
    OptionRow{"exec", kFlag, KeepForKernel},
    OptionRow{"noexec", kFlag, KeepForKernel},
    OptionRow{"remount", kFlag, RefuseRemount},
    // What fstab and mount(8) say to each other.
    OptionRow{"defaults", kFlag, Ignore},
    OptionRow{"auto", kFlag, Ignore},
    OptionRow{"noauto", kFlag, Ignore},
    OptionRow{"user", kFlag, Ignore},
    OptionRow{"nouser", kFlag, Ignore},
    OptionRow{"users", kFlag, Ignore},
    OptionRow{"owner", kFlag, Ignore},
    OptionRow{"group", kFlag, Ignore},
    OptionRow{"_netdev", kFlag, Ignore},
    OptionRow{"nofail", kFlag, Ignore},
    OptionRow{"silent", kFlag, Ignore},
    OptionRow{"loud", kFlag, Ignore},
    OptionRow{"nousers", kFlag, Ignore},
    OptionRow{"noowner", kFlag, Ignore},
    OptionRow{"nogroup", kFlag, Ignore},
    // True in any case, or without effect here.
    OptionRow{"norelatime", kFlag, Ignore},
    OptionRow{"nostrictatime", kFlag, Ignore},
    OptionRow{"diratime", kFlag, Ignore},
    OptionRow{"nodiratime", kFlag, Ignore},
    OptionRow{"lazytime", kFlag, Ignore},
    OptionRow{"nolazytime", kFlag, Ignore},
    OptionRow{"noiversion", kFlag, Ignore},
    OptionRow{"nomand", kFlag, Ignore},
    OptionRow{"symfollow", kFlag, Ignore},
    // Said to every FUSE filesystem.
    OptionRow{"default_permissions", kFlag, Ignore},
    OptionRow{"fsname", kValue, Ignore},
    OptionRow{"subtype", kValue, Ignore},
};
#undef MIRDAX_SET

// Nullopt-like: false when nobody knows the option.
Result<bool> ApplyOption(MountOptions& options, string_view text) {
  if (text.empty() || text.starts_with("x-") || text.starts_with("X-") ||
      text.starts_with("comment=") || text.starts_with("user="))
    return true;
  const size_t equals = text.find('=');
  const string_view name = text.substr(0, equals);
  const bool has_value = equals != string_view::npos;
  const string_view value = has_value ? text.substr(equals + 1) : string_view{};
  for (const OptionRow& row : kRows) {
    if (row.name != name) continue;
    if (row.kind == kValue && value.empty())
      return Fail(ErrorCode::kInvalid, "-o {}: needs a value, as in {}=...", name, name);
    if (row.kind == kFlag && has_value)
      return Fail(ErrorCode::kInvalid, "-o {}: takes no value", text);
    MIRDAX_TRY(row.apply(options, name, value));
    return true;
  }
  return false;
}

Status ApplyList(MountCommand& command, string_view list, bool sloppy) {
  while (true) {
    const size_t comma = list.find(',');
    const string_view text = list.substr(0, comma);
    MIRDAX_ASSIGN(const bool known, ApplyOption(command.options, text));
    if (!known && !sloppy) {
      return Fail(ErrorCode::kInvalid, "-o {}: unknown option; mirdax(5) lists what there is",
                  text);
    }
    if (!known) command.warnings.push_back(fmt::format("-o {}: unknown option ignored", text));
    if (comma == string_view::npos) return {};
    list.remove_prefix(comma + 1);
  }
}

Status CheckTogether(const MountOptions& options) {
  if (options.read_only && !options.mirrors.empty()) {
    return Fail(ErrorCode::kInvalid,
                "-o ro together with mirror=: a read-only mount writes to nobody; leave out one");
  }
  if (options.writeback && options.direct_io) {
    return Fail(ErrorCode::kInvalid,
                "-o writeback together with direct_io: one uses the kernel's cache, the other goes "
                "around it; leave out one");
  }
  if (options.writeback && options.sync_always) {
    return Fail(ErrorCode::kInvalid,
                "-o sync together with writeback: the kernel would hold back what must be durable "
                "at once; leave out one");
  }
  if (options.no_auth && !options.key_file.empty())
    return Fail(ErrorCode::kInvalid, "-o no_auth together with key=: leave out one");
  return {};
}

}  // namespace

Result<MountCommand> ParseMountCommand(std::span<const char* const> arguments, bool is_root) {
  MountCommand command;
  MountOptions& options = command.options;
  CLI::App app("Mounts a mirdax pool.", "mount.mirdax");
  app.footer("Options of -o are in mirdax(5). Unmount with umount(8).");
  app.set_version_flag("-V,--version", "mount.mirdax (mirdax) " MIRDAX_VERSION);
  std::vector<std::string> lists;
  std::string type;
  bool sloppy = false;
  bool no_mtab = false;
  std::string pool;
  app.add_option("POOL", pool, "pool: a devdax device or a file")->required();
  app.add_option("DIR", options.directory, "directory to mount it on")->required();
  app.add_flag("-f,--foreground", options.foreground, "stay in the foreground, log to stderr");
  app.add_option("-o,--options", lists, "mount options, separated by commas")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  app.add_flag("-v,--verbose", options.verbose, "log more");
  app.add_flag("-s", sloppy, "ignore unknown mount options (mount(8))");
  app.add_flag("-n", no_mtab, "accepted for mount(8), without effect");
  app.add_option("-N", options.mount_namespace, "mount in this mount namespace (mount(8))");
  app.add_option("-t", type, "accepted for mount(8): mirdax or fuse.mirdax");

  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::CallForHelp&) {
    command.action = MountCommand::Action::kPrint;
    command.text = app.help();
    return command;
  } catch (const CLI::CallForVersion&) {
    command.action = MountCommand::Action::kPrint;
    command.text = app.version() + "\n";
    return command;
  } catch (const CLI::ParseError& error) {
    return Fail(ErrorCode::kInvalid, "{}; see --help", error.what());
  }

  if (pool.empty() || options.directory.empty())
    return Fail(ErrorCode::kInvalid, "POOL and DIR must not be empty; see --help");
  if (!type.empty() && type != "mirdax" && type != "fuse.mirdax")
    return Fail(ErrorCode::kInvalid, "-t {}: expected mirdax or fuse.mirdax", type);
  for (const std::string& list : lists) MIRDAX_TRY(ApplyList(command, list, sloppy));
  MIRDAX_TRY(CheckTogether(options));
  options.pool = Absolute(pool);
  // Like a disk filesystem, root's mounts are everybody's; the kernel checks permissions.
  if (is_root) options.allow_other = true;
  return command;
}

}  // namespace mirdax
