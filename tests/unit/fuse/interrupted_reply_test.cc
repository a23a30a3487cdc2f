// SPDX-License-Identifier: BSD-2-Clause
// The kernel does not take the answer to a request whose process was killed meanwhile: it says
// ENOENT when the answer is written. What the answer would have counted is then not counted.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <ostream>

#include "fs/fuse/operations.h"
#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

struct TestFront : Front {
  TestFront(Volume& a_volume, Clock& a_clock)
      : Front{a_volume, a_clock, false, false, {}, false, true} {}
  bool interrupted = false;
};

ssize_t WriteReply(int, iovec* vectors, int count, void* user_data) {
  if (static_cast<TestFront*>(static_cast<Front*>(user_data))->interrupted) {
    errno = ENOENT;
    return -1;
  }
  ssize_t total = 0;
  for (int i = 0; i < count; ++i) total += static_cast<ssize_t>(vectors[i].iov_len);
  return total;
}
ssize_t ReadNothing(int, void*, size_t, void*) { return 0; }

template <typename T>
std::string BytesOfRequest(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}
std::string Terminated(const std::string& text) { return text + '\0'; }

struct Call {
  const char* name;
  uint32_t opcode;
  bool on_existing;  // the name "f" is there before
  std::string body;  // of the request, on the root directory
};
void PrintTo(const Call& call, std::ostream* out) { *out << call.name; }

std::vector<Call> Calls() {
  fuse_create_in create{};
  create.mode = S_IFREG | 0644;
  fuse_mknod_in fifo{};
  fifo.mode = S_IFIFO | 0644;
  fuse_mkdir_in directory{};
  directory.mode = 0755;
  fuse_read_in read{};
  read.size = 4096;
  return {{"Lookup", FUSE_LOOKUP, true, Terminated("f")},
          {"Create", FUSE_CREATE, false, BytesOfRequest(create) + Terminated("f")},
          {"MakeNode", FUSE_MKNOD, false, BytesOfRequest(fifo) + Terminated("f")},
          {"MakeDirectory", FUSE_MKDIR, false, BytesOfRequest(directory) + Terminated("f")},
          {"MakeSymlink", FUSE_SYMLINK, false, Terminated("f") + Terminated("target")},
          {"ReadDirectoryPlus", FUSE_READDIRPLUS, true, BytesOfRequest(read)}};
}

class InterruptedReply : public testing::TestWithParam<Call> {
 protected:
  InterruptedReply() {
    char name[] = "test";
    char* argv[] = {name};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    session_ = fuse_session_new(&arguments, &Operations(), sizeof(fuse_lowlevel_ops),
                                static_cast<Front*>(&front_));
    fuse_opt_free_args(&arguments);
    MIRDAX_CHECK(session_ != nullptr);
    const fuse_custom_io io{.writev = WriteReply,
                            .read = ReadNothing,
                            .splice_receive = nullptr,
                            .splice_send = nullptr};
    MIRDAX_CHECK(fuse_session_custom_io(session_, &io, eventfd(0, EFD_CLOEXEC)) == 0);
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = 31;
    init.flags = FUSE_DO_READDIRPLUS;
    Send(FUSE_INIT, BytesOfRequest(init));
  }
  ~InterruptedReply() override { fuse_session_destroy(session_); }

  void Send(uint32_t opcode, const std::string& body) {
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.opcode = opcode;
    header.unique = ++unique_;
    header.nodeid = FUSE_ROOT_ID;
    std::string request = BytesOfRequest(header) + body;
    fuse_buf buffer{};
    buffer.mem = request.data();
    buffer.size = request.size();
    fuse_session_process_buf(session_, &buffer);
  }
  uint64_t InodesFree() { return world_.volume().Space()->inodes_free; }
  void Remove() {
    const Status removed = GetParam().opcode == FUSE_MKDIR
                               ? world_.volume().RemoveDirectory(kRootIno, "f")
                               : world_.volume().Unlink(kRootIno, "f");
    EXPECT_TRUE(removed.has_value());
  }

  World world_;
  TestFront front_{world_.volume(), world_.clock()};
  fuse_session* session_ = nullptr;
  uint64_t unique_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Calls, InterruptedReply, testing::ValuesIn(Calls()),
                         [](const auto& call) { return call.param.name; });

TEST_P(InterruptedReply, GivesBackTheLookupCountThatTheKernelDidNotTake) {
  const uint64_t before = InodesFree();
  for (const bool interrupted : {false, true}) {
    if (GetParam().on_existing) world_.volume().Forget(world_.Create(kRootIno, "f"), 1);
    front_.interrupted = interrupted;
    Send(GetParam().opcode, GetParam().body);
    const Ino ino = world_.Find(kRootIno, "f");
    ASSERT_NE(ino, 0U);
    Remove();
    // An inode without a name is there as long as the kernel counts it.
    EXPECT_EQ(InodesFree(), interrupted ? before : before - 1);
    if (!interrupted) world_.volume().Forget(ino, 1);
    EXPECT_EQ(InodesFree(), before);
  }
}

}  // namespace
}  // namespace mirdax::test
