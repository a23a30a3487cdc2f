// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/init_reply.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <array>

namespace mirdax {
namespace {

class InitReply : public testing::Test {
 protected:
  bool Complete(bool allow_mmap) {
    std::array<iovec, 2> reply{iovec{.iov_base = &header_, .iov_len = sizeof(header_)},
                               iovec{.iov_base = &body_, .iov_len = length_}};
    return CompleteInitReply(reply, allow_mmap);
  }

  fuse_out_header header_{};
  fuse_init_out body_{};
  size_t length_ = sizeof(body_);
};

TEST_F(InitReply, AsksToClearSetIdBitsAndKeepsWhatWasAskedBefore) {
  body_.flags = FUSE_ASYNC_READ;
  body_.max_write = 1234;
  ASSERT_TRUE(Complete(false));
  EXPECT_EQ(body_.flags, uint32_t{FUSE_ASYNC_READ} | uint32_t{FUSE_HANDLE_KILLPRIV_V2});
  EXPECT_EQ(body_.flags2, 0U);
  EXPECT_EQ(body_.max_write, 1234U);
}

TEST_F(InitReply, AsksForMappingsOfDirectIoFilesInTheSecondWordOfFlags) {
  ASSERT_TRUE(Complete(true));
  EXPECT_NE(body_.flags & uint32_t{FUSE_INIT_EXT}, 0U);
  EXPECT_EQ(body_.flags2, 1U << 4);
}

TEST_F(InitReply, LeavesAloneWhatIsTooShortToBeOne) {
  length_ = 24;  // as kernels before 7.23 are answered
  EXPECT_FALSE(Complete(true));
  EXPECT_EQ(body_.flags, 0U);
}

}  // namespace
}  // namespace mirdax
