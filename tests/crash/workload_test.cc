// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/workload.h"

#include <gmock/gmock.h>

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

constexpr const char* kEveryOperation =
    "create A/f 0644\n"
    "mkdir A/d 0755\n"
    "mknod A/p 0600 0 fifo\n"
    "mknod A/q 0600 0 socket\n"
    "mknod A/c 0600 259 char\n"
    "mknod A/b 0600 2049 block\n"
    "symlink A/l ../to%20here\n"
    "link A/f A/g\n"
    "unlink A/f\n"
    "rmdir A/d\n"
    "rename A/f B/g\n"
    "rename A/f B/g noreplace\n"
    "rename A/f B/g exchange\n"
    "write A/f 4096 100 7\n"
    "write A/f 4096 100 7 sync\n"
    "append A/f 100 7\n"
    "append A/f 100 7 sync\n"
    "mmap-store A/f 10 20 7\n"
    "truncate A/f 12\n"
    "fallocate A/f 0 8192\n"
    "fallocate A/f 0 8192 keep-size\n"
    "punch A/f 0 4096\n"
    "zero A/f 0 4096\n"
    "zero A/f 0 4096 keep-size\n"
    "setxattr A/f user.a 20 7\n"
    "setxattr A/f user.a 20 7 create\n"
    "setxattr A/f user.a 20 7 replace\n"
    "removexattr A/f user.a\n"
    "chmod A/f 0600\n"
    "chown A/f 1 2\n"
    "utimens A/f -5 1700000000\n"
    "copy A/f 0 B/g 100 50\n"
    "tmpfile A @t 0600\n"
    "open A/f @o\n"
    "close @o\n"
    "fsync A/f\n"
    "fdatasync @t\n"
    "msync A/f\n"
    "fsyncdir /\n"
    "syncall\n"
    "tick\n"
    "unmount\n";

std::string WhyNot(std::string_view text) {
  const Result<Workload> workload = ParseWorkload(text);
  return workload ? "it parses" : workload.error().message;
}

TEST(Workload, EveryOperationIsPrintedAsItIsRead) {
  const Result<Workload> workload = ParseWorkload(kEveryOperation);
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(PrintWorkload(*workload), std::string("shape plain\n") + kEveryOperation);
  const Result<Workload> again = ParseWorkload(PrintWorkload(*workload));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *workload);
}

TEST(Workload, CommentsEmptyLinesUnitsAndLeadingSlashesAreAllowed) {
  const Result<Workload> workload =
      ParseWorkload("# a comment\n\nshape full # another\n  write /A/f 4K 1M 3  # and one more\n");
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(workload->shape, "full");
  ASSERT_EQ(workload->operations.size(), 1U);
  EXPECT_EQ(PrintOperation(workload->operations[0]), "write A/f 4096 1048576 3");
}

TEST(Workload, OperationsOfClientsHaveTheirNumberInFront) {
  const std::string text =
      "shape plain\nschedule 17\nopen A/f @f\n1: write @f 0 10 1\n2: tick\n3: unlink A/f\n";
  const Result<Workload> workload = ParseWorkload(text);
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(workload->clients(), 3U);
  EXPECT_EQ(workload->schedule, 17U);
  EXPECT_EQ(workload->operations[1].client, 1U);
  EXPECT_EQ(workload->operations[1].kind, OpKind::kWrite);
  EXPECT_EQ(PrintWorkload(*workload), text);
}

TEST(Workload, AnErrorSaysTheLineAndWhatIsWanted) {
  EXPECT_THAT(WhyNot("tick\n\nfrobnicate A\n"), HasSubstr("line 3: no operation 'frobnicate'"));
  EXPECT_THAT(WhyNot("write A/f 0 10\n"), HasSubstr("write PATH OFFSET LENGTH TAG [sync]"));
  EXPECT_THAT(WhyNot("write A/f 0 ten 1\n"), HasSubstr("LENGTH: 'ten' is no number"));
  EXPECT_THAT(WhyNot("create A/f 0689\n"), HasSubstr("MODE: '0689' is no octal number"));
  EXPECT_THAT(WhyNot("rename A/f B/g sync\n"), HasSubstr("[noreplace|exchange]"));
  EXPECT_THAT(WhyNot("mknod A/p 0600 0\n"), HasSubstr("fifo|socket|char|block"));
  EXPECT_THAT(WhyNot("write A/f 18446744073709551615M 1 1\n"), HasSubstr("no number"));
  EXPECT_THAT(WhyNot("unlink A/%g1\n"), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(WhyNot("0: tick\n"), HasSubstr("no operation '0:'"));
  EXPECT_THAT(WhyNot("tick\nschedule 1\n"), HasSubstr("line 2: 'schedule SEED' stands before"));
  EXPECT_THAT(WhyNot("schedule x\ntick\n"), HasSubstr("line 1: 'x' is no number"));
  EXPECT_THAT(WhyNot("tick\nshape full\n"), HasSubstr("line 2: 'shape NAME' stands before"));
}

}  // namespace
}  // namespace mirdax::crash
