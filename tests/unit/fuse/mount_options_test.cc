// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/mount_options.h"

#include <gmock/gmock.h>

#include <filesystem>

namespace mirdax {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

Result<MountCommand> Parse(std::vector<const char*> words, bool is_root = true) {
  words.insert(words.begin(), "mount.mirdax");
  return ParseMountCommand(words, is_root);
}

Result<MountCommand> ParseList(const std::string& list) {
  return Parse({"/dev/dax0.0", "/mnt", "-o", list.c_str()});
}

std::string Refusal(const std::string& list) {
  const Result<MountCommand> command = ParseList(list);
  if (command) return "accepted";
  EXPECT_EQ(command.error().code, ErrorCode::kInvalid);
  return command.error().message;
}

TEST(MountOptions, DefaultsAreALocalBackgroundMountWithAOneSecondCommitInterval) {
  const Result<MountCommand> command = Parse({"/dev/dax0.0", "/mnt"});
  ASSERT_TRUE(command) << command.error().message;
  const MountOptions& options = command->options;
  EXPECT_EQ(command->action, MountCommand::Action::kMount);
  EXPECT_EQ(options.pool, "/dev/dax0.0");
  EXPECT_EQ(options.directory, "/mnt");
  EXPECT_FALSE(options.foreground);
  EXPECT_FALSE(options.read_only);
  EXPECT_FALSE(options.writeback);
  EXPECT_FALSE(options.no_auth);
  EXPECT_TRUE(options.mirrors.empty());
  EXPECT_EQ(options.commit_interval, milliseconds(1000));
  EXPECT_EQ(options.mirror_timeout, milliseconds(2000));
  EXPECT_TRUE(options.kernel_flags.empty());  // libfuse's nosuid,nodev stay
}

TEST(MountOptions, TakesEveryOptionOfTheManual) {
  const Result<MountCommand> command = ParseList(
      "mirror=a.example:7000,mirror=[fe80::1]:7001,key=/k,fabric=tcp,commit=0.25,sync,noatime,"
      "max_threads=3,pm=shadow-half,pm_seed=7,mirror_timeout=500,degraded,suid,dev,"
      "noexec");
  ASSERT_TRUE(command) << command.error().message;
  const MountOptions& options = command->options;
  EXPECT_THAT(options.mirrors, ElementsAre("a.example:7000", "[fe80::1]:7001"));
  EXPECT_EQ(options.key_file, "/k");
  EXPECT_EQ(options.fabric, "tcp");
  EXPECT_EQ(options.commit_interval, milliseconds(250));
  EXPECT_TRUE(options.sync_always);
  EXPECT_TRUE(options.noatime);
  EXPECT_EQ(options.max_threads, 3U);
  EXPECT_EQ(options.pm, PmMode::kShadowHalf);
  EXPECT_EQ(options.pm_seed, 7U);
  EXPECT_EQ(options.mirror_timeout, milliseconds(500));
  EXPECT_TRUE(options.degraded);
  EXPECT_THAT(options.kernel_flags, ElementsAre("noatime", "suid", "dev", "noexec"));
}

TEST(MountOptions, UnderstandsHowMountEightCallsItsHelpers) {
  const Result<MountCommand> command =
      Parse({"/pool", "/mnt", "-n", "-v", "-o", "rw,nofail,_netdev,x-systemd.automount,user=joe",
             "-t", "mirdax"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_FALSE(command->options.read_only);
  EXPECT_TRUE(command->options.verbose);
}

TEST(MountOptions, AcceptsWhatMountEightAndFuseSayToEveryFilesystem) {
  for (const char* name :
       {"defaults",     "async",         "atime",    "noatime",    "relatime",
        "norelatime",   "strictatime",   "diratime", "lazytime",   "nolazytime",
        "nodiratime",   "nostrictatime", "auto",     "noauto",     "user",
        "nouser",       "users",         "nousers",  "owner",      "noowner",
        "group",        "nogroup",       "_netdev",  "nofail",     "silent",
        "loud",         "symfollow",     "nomand",   "noiversion", "default_permissions",
        "fsname=/pool", "subtype=mirdax"})
    EXPECT_EQ(Refusal(name), "accepted") << name;
  EXPECT_FALSE(ParseList("noatime,strictatime")->options.noatime);
  EXPECT_TRUE(ParseList("lazytime,nodiratime,fsname=x")->options.kernel_flags.empty());
}

TEST(MountOptions, SloppyMountsIgnoreUnknownOptionsAndSaySo) {
  const Result<MountCommand> command = Parse({"/pool", "/mnt", "-s", "-o", "whatever,ro"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_TRUE(command->options.read_only);
  EXPECT_THAT(command->warnings, ElementsAre(HasSubstr("whatever")));
}

TEST(MountOptions, TheLastOfTwoOppositesWins) {
  EXPECT_FALSE(ParseList("ro,rw")->options.read_only);
  EXPECT_TRUE(ParseList("rw,ro")->options.read_only);
  EXPECT_TRUE(ParseList("nowriteback,writeback")->options.writeback);
  EXPECT_FALSE(ParseList("writeback,nowriteback")->options.writeback);
}

TEST(MountOptions, SeveralListsAddUp) {
  const Result<MountCommand> command =
      Parse({"-o", "mirror=a:1", "/pool", "/mnt", "-o", "mirror=b:2"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_THAT(command->options.mirrors, ElementsAre("a:1", "b:2"));
}

TEST(MountOptions, RootsMountsAreForEverybodyAndUsersMountsForThemselves) {
  EXPECT_TRUE(Parse({"/pool", "/mnt"}, true)->options.allow_other);
  EXPECT_FALSE(Parse({"/pool", "/mnt"}, false)->options.allow_other);
  EXPECT_TRUE(Parse({"/pool", "/mnt", "-o", "allow_other"}, false)->options.allow_other);
}

TEST(MountOptions, ARelativePoolOrKeyBecomesAbsolute) {
  const Result<MountCommand> command = Parse({"a/../pool", "/mnt", "-o", "key=b/../key"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(command->options.pool, (std::filesystem::current_path() / "pool").string());
  EXPECT_EQ(command->options.key_file, (std::filesystem::current_path() / "key").string());
}

TEST(MountOptions, HelpAndVersionArePrintedNotMounted) {
  const Result<MountCommand> help = Parse({"--help"});
  ASSERT_TRUE(help);
  EXPECT_EQ(help->action, MountCommand::Action::kPrint);
  EXPECT_THAT(help->text, HasSubstr("POOL"));
  const Result<MountCommand> version = Parse({"--version"});
  ASSERT_TRUE(version);
  EXPECT_EQ(version->text, "mount.mirdax (mirdax) " MIRDAX_VERSION "\n");
}

TEST(MountOptions, RefusesWhatItDoesNotKnowByName) {
  EXPECT_THAT(Refusal("frobnicate"), HasSubstr("frobnicate: unknown option"));
  EXPECT_THAT(Refusal("mirrors=a:1"), HasSubstr("unknown option"));
  // What would be a promise not kept.
  for (const char* name : {"nosymfollow", "mand", "iversion", "allow_root"})
    EXPECT_THAT(Refusal(name), HasSubstr("unknown option")) << name;
  EXPECT_THAT(Refusal("remount,ro"), HasSubstr("unmount and mount again"));
}

TEST(MountOptions, RefusesValuesThatMakeNoSense) {
  for (const char* list : {"commit=0",       "commit=-1",        "commit=nan",
                           "commit=inf",     "commit=1s",        "commit=",
                           "commit",         "commit=301",       "commit=1e9",
                           "max_threads=0",  "max_threads=-1",   "max_threads=99999999999999",
                           "max_threads=4x", "mirror_timeout=1", "mirror_timeout=",
                           "pm=magic",       "pm_seed=-1",       "key=",
                           "ro=1",           "sync=yes",         "degraded=",
                           "fabric="})
    EXPECT_THAT(Refusal(list), HasSubstr("-o ")) << list;
}

TEST(MountOptions, RefusesAddressesThatMakeNoSense) {
  for (const char* address :
       {"host", "host:", ":7000", "host:0", "host:65536", "host:70000000000000000000", "host:7x",
        "a:b:7000", "[::1:7000", "[]:1", "ho st:1", "/etc/passwd:1", "h\n:1", "\xff\xfe:1"})
    EXPECT_THAT(Refusal(std::string("mirror=") + address), HasSubstr("HOST:PORT")) << address;
  EXPECT_THAT(Refusal("mirror=" + std::string(5000, 'a') + ":1"), HasSubstr("HOST:PORT"));
}

TEST(MountOptions, RefusesMirrorsNamedTwiceOrTooManyOfThem) {
  EXPECT_THAT(Refusal("mirror=a:1,mirror=a:1"), HasSubstr("given twice"));
  std::string list;
  for (int i = 1; i <= 9; ++i) list += fmt::format("mirror=a:{},", i);
  EXPECT_THAT(Refusal(list), HasSubstr("at most 8"));
}

TEST(MountOptions, RefusesOptionsThatContradictEachOther) {
  EXPECT_THAT(Refusal("ro,mirror=a:1"), HasSubstr("leave out one"));
  EXPECT_THAT(Refusal("writeback,direct_io"), HasSubstr("leave out one"));
  EXPECT_THAT(Refusal("writeback,sync"), HasSubstr("leave out one"));
  EXPECT_THAT(Refusal("no_auth,key=/k"), HasSubstr("leave out one"));
}

TEST(MountOptions, RefusesMissingAndExtraArguments) {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{},
                                             {"/pool"},
                                             {"", ""},
                                             {"/pool", ""},
                                             {"/pool", "/mnt", "/more"},
                                             {"/pool", "/mnt", "-o"},
                                             {"/pool", "/mnt", "--frobnicate"},
                                             {"/pool", "/mnt", "-t", "ext4"}}) {
    const Result<MountCommand> command = Parse(words);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().code, ErrorCode::kInvalid);
    EXPECT_FALSE(command.error().message.empty());
  }
}

TEST(MountOptions, EmptyWordsBetweenCommasMeanNothing) {
  EXPECT_TRUE(ParseList(",,ro,,"));
  EXPECT_TRUE(ParseList(""));
}

}  // namespace
}  // namespace mirdax
