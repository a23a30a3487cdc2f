// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/workload.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "fs/base/check.h"

namespace mirdax::crash {
namespace {

enum class Arg : uint8_t {
  kPath,
  kOther,
  kOffset,
  kToOffset,
  kLength,
  kTag,
  kMode,  // octal
  kRdev,
  kUid,
  kGid,
  kAtime,
  kMtime,
};

struct FlagWord {
  OpFlag flag;
  std::string_view word;
};
constexpr FlagWord kFlagWords[] = {
    {OpFlag::kNoReplace, "noreplace"}, {OpFlag::kExchange, "exchange"},
    {OpFlag::kKeepSize, "keep-size"},  {OpFlag::kSync, "sync"},
    {OpFlag::kCreate, "create"},       {OpFlag::kReplace, "replace"},
    {OpFlag::kFifo, "fifo"},           {OpFlag::kSocket, "socket"},
    {OpFlag::kChar, "char"},           {OpFlag::kBlock, "block"},
};

// The grammar: parser and printer both follow this table, so each is the other's inverse.
struct Rule {
  OpKind kind;
  std::string_view word;
  std::vector<Arg> args;
  std::vector<OpFlag> flags = {};  // allowed as the last word
  bool flag_required = false;
};

const std::vector<Rule>& Rules() {
  using enum Arg;
  static const std::vector<Rule> rules = {
      {OpKind::kCreate, "create", {kPath, kMode}},
      {OpKind::kMkdir, "mkdir", {kPath, kMode}},
      {OpKind::kMknod,
       "mknod",
       {kPath, kMode, kRdev},
       {OpFlag::kFifo, OpFlag::kSocket, OpFlag::kChar, OpFlag::kBlock},
       true},
      {OpKind::kSymlink, "symlink", {kPath, kOther}},
      {OpKind::kLink, "link", {kPath, kOther}},
      {OpKind::kUnlink, "unlink", {kPath}},
      {OpKind::kRmdir, "rmdir", {kPath}},
      {OpKind::kRename, "rename", {kPath, kOther}, {OpFlag::kNoReplace, OpFlag::kExchange}},
      {OpKind::kWrite, "write", {kPath, kOffset, kLength, kTag}, {OpFlag::kSync}},
      {OpKind::kAppend, "append", {kPath, kLength, kTag}, {OpFlag::kSync}},
      {OpKind::kMmapStore, "mmap-store", {kPath, kOffset, kLength, kTag}},
      {OpKind::kTruncate, "truncate", {kPath, kLength}},
      {OpKind::kFallocate, "fallocate", {kPath, kOffset, kLength}, {OpFlag::kKeepSize}},
      {OpKind::kPunch, "punch", {kPath, kOffset, kLength}},
      {OpKind::kZero, "zero", {kPath, kOffset, kLength}, {OpFlag::kKeepSize}},
      {OpKind::kSetXattr,
       "setxattr",
       {kPath, kOther, kLength, kTag},
       {OpFlag::kCreate, OpFlag::kReplace}},
      {OpKind::kRemoveXattr, "removexattr", {kPath, kOther}},
      {OpKind::kChmod, "chmod", {kPath, kMode}},
      {OpKind::kChown, "chown", {kPath, kUid, kGid}},
      {OpKind::kUtimens, "utimens", {kPath, kAtime, kMtime}},
      {OpKind::kCopy, "copy", {kPath, kOffset, kOther, kToOffset, kLength}},
      {OpKind::kTmpfile, "tmpfile", {kPath, kOther, kMode}},
      {OpKind::kOpen, "open", {kPath, kOther}},
      {OpKind::kClose, "close", {kPath}},
      {OpKind::kFsync, "fsync", {kPath}},
      {OpKind::kFdatasync, "fdatasync", {kPath}},
      {OpKind::kMsync, "msync", {kPath}},
      {OpKind::kFsyncDir, "fsyncdir", {kPath}},
      {OpKind::kSyncAll, "syncall", {}},
      {OpKind::kTick, "tick", {}},
      {OpKind::kUnmount, "unmount", {}},
  };
  return rules;
}

const Rule& RuleOf(OpKind kind) {
  const auto rule = std::ranges::find(Rules(), kind, &Rule::kind);
  MIRDAX_CHECK(rule != Rules().end());
  return *rule;
}

// What the word stands for, in messages and in docs/TESTING.md.
std::string_view NameOf(Arg arg) {
  switch (arg) {
    case Arg::kPath:
      return "PATH";
    case Arg::kOther:
      return "NAME";
    case Arg::kOffset:
      return "OFFSET";
    case Arg::kToOffset:
      return "TO-OFFSET";
    case Arg::kLength:
      return "LENGTH";
    case Arg::kTag:
      return "TAG";
    case Arg::kMode:
      return "MODE";
    case Arg::kRdev:
      return "DEVICE";
    case Arg::kUid:
      return "UID";
    case Arg::kGid:
      return "GID";
    case Arg::kAtime:
      return "ATIME";
    case Arg::kMtime:
      return "MTIME";
  }
  return "?";
}

std::string UsageOf(const Rule& rule) {
  std::string usage(rule.word);
  for (const Arg arg : rule.args) usage.append(" ").append(NameOf(arg));
  std::string choice;
  for (const FlagWord& each : kFlagWords) {
    if (std::ranges::find(rule.flags, each.flag) == rule.flags.end()) continue;
    choice.append(choice.empty() ? "" : "|").append(each.word);
  }
  if (choice.empty()) return usage;
  return usage + (rule.flag_required ? " " + choice : " [" + choice + "]");
}

// Spaces, '#' and '%' of names are written as %XX.
std::string Escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '#' || c == '%') {
      result += fmt::format("%{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

Result<std::string> Unescape(std::string_view word) {
  std::string result;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      result += word[i];
      continue;
    }
    unsigned value = 0;
    const char* end = word.data() + std::min(word.size(), i + 3);
    const auto [at, error] = std::from_chars(word.data() + i + 1, end, value, 16);
    if (error != std::errc() || at != word.data() + i + 3) {
      return Fail(ErrorCode::kInvalid, "'{}': % is followed by two hexadecimal digits", word);
    }
    result += static_cast<char>(value);
    i += 2;
  }
  return result;
}

template <typename T>
Result<T> ParseNumber(std::string_view word, int base) {
  uint64_t unit = 1;
  std::string_view digits = word;
  if (base == 10 && (word.ends_with('K') || word.ends_with('M'))) {
    unit = word.ends_with('K') ? 1024 : 1024 * 1024;
    digits.remove_suffix(1);
  }
  T value{};
  const auto [at, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || at != digits.data() + digits.size() || digits.empty() ||
      (unit != 1 && value > std::numeric_limits<T>::max() / static_cast<T>(unit))) {
    return Fail(ErrorCode::kInvalid, "'{}' is no {}number", word, base == 8 ? "octal " : "");
  }
  return static_cast<T>(value * static_cast<T>(unit));
}

template <typename T>
Status SetNumber(T& field, std::string_view word, int base = 10) {
  MIRDAX_ASSIGN(field, ParseNumber<T>(word, base));
  return {};
}

Status SetText(std::string& field, std::string_view word) {
  MIRDAX_ASSIGN(field, Unescape(word));
  return {};
}

Status SetPath(std::string& field, std::string_view word) {
  while (word.size() > 1 && word.starts_with('/')) word.remove_prefix(1);
  return SetText(field, word);
}

Status SetArg(Operation& op, Arg arg, std::string_view word) {
  switch (arg) {
    case Arg::kPath:
      return SetPath(op.path, word);
    case Arg::kOther:
      return op.kind == OpKind::kSymlink ? SetText(op.other, word) : SetPath(op.other, word);
    case Arg::kOffset:
      return SetNumber(op.offset, word);
    case Arg::kToOffset:
      return SetNumber(op.to_offset, word);
    case Arg::kLength:
      return SetNumber(op.length, word);
    case Arg::kTag:
      return SetNumber(op.tag, word);
    case Arg::kMode:
      return SetNumber(op.mode, word, 8);
    case Arg::kRdev:
      return SetNumber(op.rdev, word);
    case Arg::kUid:
      return SetNumber(op.uid, word);
    case Arg::kGid:
      return SetNumber(op.gid, word);
    case Arg::kAtime:
      return SetNumber(op.atime, word);
    case Arg::kMtime:
      return SetNumber(op.mtime, word);
  }
  return {};
}

std::string PrintArg(const Operation& op, Arg arg) {
  switch (arg) {
    case Arg::kPath:
      return Escape(op.path);
    case Arg::kOther:
      return Escape(op.other);
    case Arg::kOffset:
      return std::to_string(op.offset);
    case Arg::kToOffset:
      return std::to_string(op.to_offset);
    case Arg::kLength:
      return std::to_string(op.length);
    case Arg::kTag:
      return std::to_string(op.tag);
    case Arg::kMode:
      return fmt::format("{:04o}", op.mode);
    case Arg::kRdev:
      return std::to_string(op.rdev);
    case Arg::kUid:
      return std::to_string(op.uid);
    case Arg::kGid:
      return std::to_string(op.gid);
    case Arg::kAtime:
      return std::to_string(op.atime);
    case Arg::kMtime:
      return std::to_string(op.mtime);
  }
  return {};
}

std::vector<std::string_view> WordsOf(std::string_view line) {
  line = line.substr(0, line.find('#'));
  std::vector<std::string_view> words;
  constexpr std::string_view kSpaces = " \t\r";
  for (size_t at = line.find_first_not_of(kSpaces); at != line.npos;) {
    const size_t end = std::min(line.find_first_of(kSpaces, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kSpaces, end);
  }
  return words;
}

// "1:" to "9:" in front: who does it.
uint8_t TakeClient(std::span<const std::string_view>& words) {
  const std::string_view first = words.front();
  if (words.size() < 2 || first.size() != 2 || first[1] != ':' || first[0] < '1' ||
      first[0] > static_cast<char>('0' + kMostClients)) {
    return 0;
  }
  words = words.subspan(1);
  return static_cast<uint8_t>(first[0] - '0');
}

Result<Operation> ParseWords(std::span<const std::string_view> words) {
  const uint8_t client = TakeClient(words);
  const auto rule = std::ranges::find(Rules(), words.front(), &Rule::word);
  if (rule == Rules().end()) {
    return Fail(ErrorCode::kInvalid, "no operation '{}'", words.front());
  }
  Operation op;
  op.kind = rule->kind;
  op.client = client;
  const size_t fixed = 1 + rule->args.size();
  const bool has_flag = words.size() == fixed + 1;
  if ((words.size() != fixed && !has_flag) || (has_flag && rule->flags.empty()) ||
      (rule->flag_required && !has_flag)) {
    return Fail(ErrorCode::kInvalid, "{} words; wanted: {}", words.size(), UsageOf(*rule));
  }
  for (size_t i = 0; i < rule->args.size(); ++i) {
    if (Status set = SetArg(op, rule->args[i], words[i + 1]); !set) {
      return Fail(ErrorCode::kInvalid, "{}: {}; wanted: {}", NameOf(rule->args[i]),
                  set.error().message, UsageOf(*rule));
    }
  }
  if (has_flag) {
    const auto word = std::ranges::find(kFlagWords, words.back(), &FlagWord::word);
    if (word == std::end(kFlagWords) ||
        std::ranges::find(rule->flags, word->flag) == rule->flags.end()) {
      return Fail(ErrorCode::kInvalid, "'{}'; wanted: {}", words.back(), UsageOf(*rule));
    }
    op.flag = word->flag;
  }
  return op;
}

// "shape NAME" and "schedule SEED" are no operations. False: neither is this.
Result<bool> ParseHeading(std::span<const std::string_view> words, Workload& workload) {
  const bool shape = words.front() == "shape";
  if (!shape && words.front() != "schedule") return false;
  if (words.size() != 2 || !workload.operations.empty()) {
    return Fail(ErrorCode::kInvalid, "'{}' stands before all operations",
                shape ? "shape NAME" : "schedule SEED");
  }
  if (shape) {
    workload.shape = words[1];
  } else {
    MIRDAX_TRY(SetNumber(workload.schedule, words[1]));
  }
  return true;
}

}  // namespace

unsigned Workload::clients() const noexcept {
  unsigned most = 0;
  for (const Operation& operation : operations) most = std::max<unsigned>(most, operation.client);
  return most;
}

std::string_view NameOf(OpKind kind) noexcept { return RuleOf(kind).word; }

uint32_t TypeOf(OpFlag flag) noexcept {
  switch (flag) {
    case OpFlag::kFifo:
      return S_IFIFO;
    case OpFlag::kSocket:
      return S_IFSOCK;
    case OpFlag::kChar:
      return S_IFCHR;
    default:
      return S_IFBLK;
  }
}

bool StoresBytes(OpKind kind) noexcept {
  return kind == OpKind::kWrite || kind == OpKind::kAppend || kind == OpKind::kMmapStore ||
         kind == OpKind::kCopy;
}

SyncScope ScopeOf(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OpKind::kFsync:
    case OpKind::kFdatasync:
    case OpKind::kMsync:
      return SyncScope::kFile;
    case OpKind::kWrite:
    case OpKind::kAppend:
      return operation.flag == OpFlag::kSync ? SyncScope::kFile : SyncScope::kNothing;
    case OpKind::kFsyncDir:
      return SyncScope::kNames;
    case OpKind::kSyncAll:
    case OpKind::kTick:
    case OpKind::kUnmount:
      return SyncScope::kEverything;
    default:
      return SyncScope::kNothing;
  }
}

Result<Operation> ParseOperation(std::string_view line) {
  const std::vector<std::string_view> words = WordsOf(line);
  if (words.empty()) return Fail(ErrorCode::kInvalid, "an empty line");
  return ParseWords(words);
}

Result<Workload> ParseWorkload(std::string_view text) {
  Workload workload;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = WordsOf(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) continue;
    const Result<bool> heading = ParseHeading(words, workload);
    if (!heading) {
      return Fail(ErrorCode::kInvalid, "line {}: {}", number, heading.error().message);
    }
    if (*heading) continue;
    Result<Operation> operation = ParseWords(words);
    if (!operation) {
      return Fail(ErrorCode::kInvalid, "line {}: {}", number, operation.error().message);
    }
    workload.operations.push_back(std::move(*operation));
  }
  return workload;
}

Workload Lines(std::string_view text) {
  Result<Workload> workload = ParseWorkload(text);
  MIRDAX_CHECK(workload.has_value());
  return std::move(*workload);
}

std::string PrintOperation(const Operation& operation) {
  const Rule& rule = RuleOf(operation.kind);
  std::string line;
  if (operation.client != 0) line = fmt::format("{}: ", operation.client);
  line += rule.word;
  for (const Arg arg : rule.args) line.append(" ").append(PrintArg(operation, arg));
  for (const FlagWord& each : kFlagWords) {
    if (each.flag == operation.flag) line.append(" ").append(each.word);
  }
  return line;
}

std::string PrintWorkload(const Workload& workload) {
  std::string text = "shape " + workload.shape + "\n";
  if (workload.clients() != 0 || workload.schedule != 0) {
    text += fmt::format("schedule {}\n", workload.schedule);
  }
  for (const Operation& operation : workload.operations) text += PrintOperation(operation) + "\n";
  return text;
}

}  // namespace mirdax::crash
