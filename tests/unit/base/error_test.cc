// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "fs/base/result.h"

namespace mirdax {
namespace {

TEST(Error, EveryCodeHasANameAndAnErrno) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kShutdown); ++code) {
    const auto name = ErrorCodeName(static_cast<ErrorCode>(code));
    EXPECT_NE(name, "unknown") << code;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_GT(ToErrno(static_cast<ErrorCode>(code)), 0);
  }
}

TEST(Error, AnErrnoThatComesInGoesOutTheSame) {
  for (const int number :
       {EINVAL, ENOENT,  EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ENAMETOOLONG, EMLINK, ENOSPC, EFBIG,
        EROFS,  ENODATA, ERANGE, EPERM,   EACCES, EBUSY,     EOPNOTSUPP,   ENOMEM, ENXIO,  EIO})
    EXPECT_EQ(ToErrno(FromErrno(number, "test").code), number);
}

TEST(Error, AnUnknownErrnoIsAnIoErrorThatKeepsItsText) {
  const Error error = FromErrno(ENOTTY, "/dev/x");
  EXPECT_EQ(error.code, ErrorCode::kIo);
  EXPECT_EQ(error.message.find("/dev/x: "), 0U);
  EXPECT_NE(error.message.find("ioctl"), std::string::npos);
}

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(ErrorCode::kInvalid, "{} is odd", value);
  return value / 2;
}
Result<int> Quarter(int value) {
  MIRDAX_ASSIGN(const int half, Half(value));
  return Half(half);
}
Status Check(int value) {
  MIRDAX_TRY(Quarter(value));
  return {};
}

TEST(Result, ErrorsPassThroughWithTheirMessage) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_TRUE(Check(4));
  EXPECT_EQ(Check(5).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace mirdax
