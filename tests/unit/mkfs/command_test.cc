// SPDX-License-Identifier: BSD-2-Clause
// mkfs.mirdax as a script sees it: exit codes and messages of the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "fs/format/superblock.h"
#include "fs/pmem/pool.h"
#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  int exit_code;
  std::string output;  // both streams
};

Outcome RunMkfs(const std::string& arguments) {
  const std::string command = MIRDAX_MKFS " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  Outcome outcome{-1, {}};
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), got);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

class MkfsCommand : public testing::Test {
 protected:
  const test::TempDir dir_;
  const std::string path_ = dir_.File("pool");
};

TEST_F(MkfsCommand, PrintsTheGeometryItMade) {
  const Outcome made = RunMkfs("-s 64M -L data -J 2M -N 1000 " + path_);
  EXPECT_EQ(made.exit_code, 0) << made.output;
  EXPECT_THAT(made.output, HasSubstr("label          data"));
  EXPECT_THAT(made.output, HasSubstr("journal        2 MiB (2097152 bytes) at 98304"));
  EXPECT_THAT(made.output, HasSubstr("inodes         1008"));
  EXPECT_THAT(made.output, HasSubstr("granularity    page"));
  auto pool = Pool::Open(path_, {});
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ(LabelOf((*pool)->superblock()), "data");
}

TEST_F(MkfsCommand, QuietSaysNothing) {
  const Outcome made = RunMkfs("-q -s 16M " + path_);
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_EQ(made.output, "");
}

TEST_F(MkfsCommand, TheSetsUuidCanBeGiven) {
  const std::string uuid = "00112233-4455-6677-8899-aabbccddeeff";
  const Outcome made = RunMkfs("-s 16M -U " + uuid + " " + path_);
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_THAT(made.output, HasSubstr(uuid));
}

TEST_F(MkfsCommand, HelpAndVersionSucceed) {
  EXPECT_EQ(RunMkfs("--help").exit_code, 0);
  EXPECT_THAT(RunMkfs("--help").output, HasSubstr("--bytes-per-inode"));
  EXPECT_EQ(RunMkfs("--version").exit_code, 0);
  EXPECT_EQ(RunMkfs("--version").output, "mkfs.mirdax (mirdax) " MIRDAX_VERSION "\n");
}

TEST_F(MkfsCommand, RefusalsExitWith1AndSayWhatToDo) {
  ASSERT_EQ(RunMkfs("-q -s 16M " + path_).exit_code, 0);
  for (const std::string& arguments :
       {path_, "-s 1M -f " + path_, dir_.File("none"), std::string("-s 16M /dev/null"),
        "-s 16M " + dir_.path(), "-f -L \"$(printf 'a\\nb')\" " + path_, "-f -J 1G " + path_}) {
    const Outcome outcome = RunMkfs(arguments);
    EXPECT_EQ(outcome.exit_code, 1) << arguments << ": " << outcome.output;
    EXPECT_THAT(outcome.output, StartsWith("mkfs.mirdax: /"));
    EXPECT_THAT(outcome.output, HasSubstr(";")) << "what to do is missing";
  }
}

TEST_F(MkfsCommand, UsageErrorsExitWith2) {
  for (const std::string& arguments :
       {std::string(), "--bad " + path_, "-s 12Q " + path_, "-s -5 " + path_, "-U xyz " + path_,
        "-N 100 -i 4096 " + path_, "--mirror -J 1M " + path_, path_ + " " + path_}) {
    const Outcome outcome = RunMkfs(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << ": " << outcome.output;
    EXPECT_THAT(outcome.output, StartsWith("mkfs.mirdax: "));
  }
}

}  // namespace
}  // namespace mirdax
