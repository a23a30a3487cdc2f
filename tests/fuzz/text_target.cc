// SPDX-License-Identifier: BSD-2-Clause
// Text: what people type, what fstab, the kernel and key=value lists say, and the status document
// that a command reads from a daemon.
//
// Input: the first line chooses the parser, the rest is the text.
//   mount       words of the command line, one a line
//   size        mkfs.mirdax --size and its kin
//   address     HOST:PORT
//   uuid        mkfs.mirdax --uuid
//   label       mkfs.mirdax --label
//   mountinfo   /proc/self/mountinfo
//   status      a status document
//
// Violations, besides crashes and hangs: values outside their documented ranges, text that comes
// back as something else, control characters on a terminal, an error without a reason.
#include <algorithm>
#include <array>
#include <vector>

#include "fs/base/uuid.h"
#include "fs/format/superblock.h"
#include "fs/fuse/mount_options.h"
#include "fs/fuse/mount_table.h"
#include "mkfs/size_text.h"
#include "replicator/address.h"
#include "tests/fuzz/target.h"
#include "tools/ctl/status.h"

namespace mirdax::fuzz {
namespace {

using std::string_view;
using namespace std::chrono_literals;

template <typename T>
bool Taken(const Result<T>& result) {
  if (!result) Expect(!result.error().message.empty(), "an error without a reason");
  return result.has_value();
}

void TakeMount(string_view text) {
  std::vector<std::string> words = {"mount.mirdax"};
  while (!text.empty() && words.size() < 64) {
    const string_view line = text.substr(0, text.find('\n'));
    words.emplace_back(line.substr(0, line.find('\0')));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  const auto command = ParseMountCommand(arguments, true);
  if (!Taken(command) || command->action == MountCommand::Action::kPrint) return;
  const MountOptions& options = command->options;
  Expect(!options.pool.empty() && options.pool.front() == '/', "pool '{}'", options.pool);
  Expect(!options.directory.empty(), "no directory");
  Expect(options.commit_interval >= 10ms && options.commit_interval <= 300s, "commit={} ms",
         options.commit_interval.count());
  Expect(options.mirror_timeout >= 10ms && options.mirror_timeout <= 600s, "mirror_timeout={} ms",
         options.mirror_timeout.count());
  Expect(options.max_threads >= 1 && options.max_threads <= 1024, "max_threads={}",
         options.max_threads);
  Expect(options.mirrors.size() <= kMaxMirrors, "{} mirrors", options.mirrors.size());
  Expect(!(options.read_only && !options.mirrors.empty()), "ro with mirrors");
  Expect(!(options.writeback && (options.direct_io || options.sync_always)), "writeback with sync");
  Expect(!(options.no_auth && !options.key_file.empty()), "no_auth with key");
  for (const std::string& mirror : options.mirrors) {
    const auto address = ParseAddress(mirror);
    Expect(address && address->port != 0, "mirror '{}' is taken, and is no address", mirror);
    Expect(mirror.size() < sizeof(Member::address), "mirror '{}' does not fit a member", mirror);
  }
}

void TakeSize(string_view text) {
  const auto size = ParseSize(text);
  if (!Taken(size)) return;
  const auto again = ParseSize(std::to_string(*size));
  Expect(again && *again == *size, "'{}' is {}, which is not itself", text, *size);
  Expect(!SizeText(*size).empty(), "no text for {}", *size);
}

void TakeAddress(string_view text) {
  const auto address = ParseAddress(text);
  if (!Taken(address)) return;
  const auto again = ParseAddress(address->ToString());
  Expect(again && again->host == address->host && again->port == address->port,
         "'{}' is {}, which is another address", text, address->ToString());
}

void TakeUuid(string_view text) {
  const auto uuid = Uuid::Parse(text);
  if (!Taken(uuid)) return;
  const auto again = Uuid::Parse(uuid->ToString());
  Expect(again && *again == *uuid, "'{}' is {}, which is another UUID", text, uuid->ToString());
}

void TakeLabel(string_view text) {
  if (!Taken(CheckLabel(text))) return;
  Superblock superblock{};
  SetLabel(superblock, text);
  Expect(LabelOf(superblock) == text, "label '{}' comes back as '{}'", text, LabelOf(superblock));
}

void TakeMountInfo(string_view text) {
  (void)FindMount(text, "/mnt/a b");
  (void)FindMount(text, "/");
}

void TakeStatus(string_view text) {
  const auto status = ctl::RenderStatus(std::string(text));
  if (!Taken(status)) return;
  const auto ugly = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; };
  Expect(std::ranges::none_of(status->text, ugly), "control characters reach the terminal");
  Expect(std::ranges::none_of(status->json, ugly), "control characters in JSON");
}

struct Parser {
  string_view name;
  void (*take)(string_view);
};
constexpr std::array kParsers = {
    Parser{"mount", TakeMount},   Parser{"size", TakeSize},   Parser{"address", TakeAddress},
    Parser{"uuid", TakeUuid},     Parser{"label", TakeLabel}, Parser{"mountinfo", TakeMountInfo},
    Parser{"status", TakeStatus},
};

}  // namespace

const Grammar* InputGrammar() { return nullptr; }

void RunInput(string_view input) {
  const string_view first = input.substr(0, input.find('\n'));
  input.remove_prefix(std::min(first.size() + 1, input.size()));
  for (const Parser& parser : kParsers)
    if (parser.name == first) parser.take(input);
}

}  // namespace mirdax::fuzz
