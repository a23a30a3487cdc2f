// SPDX-License-Identifier: BSD-2-Clause
// What POSIX says of file data, in sentences.
#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

class VolumeData : public testing::Test {
 protected:
  Volume& volume() { return world_.volume(); }
  World world_;
  Ino file_ = world_.Create(kRootIno, "f");
};

TEST_F(VolumeData, WhatWasWrittenIsRead) {
  EXPECT_EQ(world_.Write(file_, 0, "hello"), 5U);
  EXPECT_EQ(world_.Write(file_, 5, " world"), 6U);
  EXPECT_EQ(world_.Read(file_), "hello world");
  EXPECT_EQ(world_.Read(file_, 6, 3), "wor");
  EXPECT_EQ(world_.Read(file_, 11, 3), "");
  EXPECT_EQ(world_.Read(file_, 1000, 3), "");
  world_.Remount();
  EXPECT_EQ(world_.Read(world_.Find(kRootIno, "f")), "hello world");
}

TEST_F(VolumeData, AHoleReadsAsZerosAndTakesNoSpace) {
  world_.Write(file_, 1 << 20, "x");
  const std::string text = world_.Read(file_);
  ASSERT_EQ(text.size(), (1U << 20) + 1);
  EXPECT_EQ(text.find_first_not_of('\0'), 1U << 20);
  EXPECT_EQ(world_.Stat(file_).blocks, 8U);
}

TEST_F(VolumeData, AppendWritesAtTheEnd) {
  world_.Write(file_, 0, "abc");
  EXPECT_EQ(*volume().Append(file_, std::as_bytes(std::span(std::string_view("def")))), 3U);
  EXPECT_EQ(world_.Read(file_), "abcdef");
}

TEST_F(VolumeData, BytesBeyondTheOldEndNeverComeBack) {
  world_.Write(file_, 0, std::string(4000, 'a'));
  for (const bool sync : {false, true}) {
    if (sync) {
      ASSERT_TRUE(volume().Fsync(file_, false));
    }
    ASSERT_TRUE(world_.Truncate(file_, 100));
    ASSERT_TRUE(world_.Truncate(file_, 5000));
    EXPECT_EQ(world_.Read(file_, 100, 4900), std::string(4900, '\0'));
    EXPECT_EQ(world_.Read(file_, 0, 100), std::string(100, 'a'));
    ASSERT_TRUE(world_.Truncate(file_, 50));
    world_.Write(file_, 60, "b");
    EXPECT_EQ(world_.Read(file_, 50), std::string(10, '\0') + "b");
    world_.Write(file_, 0, std::string(4000, 'a'));
  }
}

TEST_F(VolumeData, ATruncationThatWasNotSyncedGivesTheOldBytesBackAfterACrash) {
  const std::string text(10000, 't');
  world_.Write(file_, 0, text);
  ASSERT_TRUE(volume().Fsync(file_, false));
  world_.recorder().StartLog();
  ASSERT_TRUE(world_.Truncate(file_, 100));
  world_.Write(file_, 100, "new");
  world_.Crash();
  EXPECT_EQ(world_.Read(world_.Find(kRootIno, "f")), text);
}

TEST_F(VolumeData, ATruncationFreesItsBlocks) {
  const SpaceReport before = *volume().Space();
  world_.Write(file_, 0, std::string(1 << 20, 'a'));
  ASSERT_TRUE(volume().Fsync(file_, false));
  EXPECT_LT(volume().Space()->blocks_free, before.blocks_free);
  ASSERT_TRUE(world_.Truncate(file_, 0));
  EXPECT_EQ(volume().Space()->blocks_free, before.blocks_free);
  EXPECT_EQ(world_.Stat(file_).blocks, 0U);
  world_.Remount();
}

TEST_F(VolumeData, AFileOfManyExtentsIsTruncatedWhole) {
  const SpaceReport before = *volume().Space();
  for (uint64_t i = 0; i < 600; ++i) world_.Write(file_, i * 2 * kBlockSize, "x");
  ASSERT_TRUE(volume().Fsync(file_, false));
  ASSERT_TRUE(world_.Truncate(file_, 3 * kBlockSize + 1));
  EXPECT_EQ(world_.Stat(file_).blocks, 16U);
  world_.Remount();
  file_ = world_.Find(kRootIno, "f");
  EXPECT_EQ(world_.Read(file_, 2 * kBlockSize, 1), "x");
  ASSERT_TRUE(world_.Truncate(file_, 0));
  ASSERT_TRUE(volume().Tick());
  EXPECT_EQ(volume().Space()->blocks_free, before.blocks_free);
}

TEST_F(VolumeData, FilesEndAtTheLargestSize) {
  EXPECT_EQ(
      CodeOf(volume().Write(file_, kMaxFileSize, std::as_bytes(std::span(std::string_view("x"))))),
      ErrorCode::kFileTooBig);
  EXPECT_EQ(CodeOf(world_.Truncate(file_, kMaxFileSize + 1)), ErrorCode::kFileTooBig);
  EXPECT_EQ(world_.Write(file_, kMaxFileSize - 1, "xy"), 1U);
  EXPECT_EQ(world_.Stat(file_).size, kMaxFileSize);
  EXPECT_EQ(world_.Read(file_, kMaxFileSize - 2, 10), std::string("\0x", 2));
  ASSERT_TRUE(volume().Fsync(file_, false));
  world_.Remount();
}

TEST_F(VolumeData, AllocateGivesBlocksThatReadAsZeros) {
  ASSERT_TRUE(volume().Allocate(file_, AllocateMode::kAllocate, 1000, 100000));
  EXPECT_EQ(world_.Stat(file_).size, 101000U);
  EXPECT_EQ(world_.Stat(file_).blocks, 25U * 8);
  EXPECT_EQ(world_.Read(file_), std::string(101000, '\0'));
  world_.Write(file_, 5000, "data");
  EXPECT_EQ(world_.Stat(file_).blocks, 25U * 8);
  ASSERT_TRUE(volume().Fsync(file_, false));
  world_.Crash();
  file_ = world_.Find(kRootIno, "f");
  std::string expected(101000, '\0');
  expected.replace(5000, 4, "data");
  EXPECT_EQ(world_.Read(file_), expected);
  ASSERT_TRUE(volume().Allocate(file_, AllocateMode::kAllocateKeepSize, 200000, 5000));
  EXPECT_EQ(world_.Stat(file_).size, 101000U);
  world_.Remount();
}

TEST_F(VolumeData, PunchAndZeroLeaveZeros) {
  for (const AllocateMode mode : {AllocateMode::kPunchHole, AllocateMode::kZeroRange}) {
    for (const bool sync : {false, true}) {
      const std::string text(50000, 'p');
      world_.Write(file_, 0, text);
      if (sync) {
        ASSERT_TRUE(volume().Fsync(file_, false));
      }
      ASSERT_TRUE(volume().Allocate(file_, mode, 3000, 20000));
      std::string expected = text;
      expected.replace(3000, 20000, 20000, '\0');
      EXPECT_EQ(world_.Read(file_), expected);
      EXPECT_EQ(world_.Stat(file_).blocks, mode == AllocateMode::kPunchHole ? 9U * 8 : 13U * 8);
      ASSERT_TRUE(volume().Fsync(file_, false));
      world_.Crash();
      file_ = world_.Find(kRootIno, "f");
      EXPECT_EQ(world_.Read(file_), expected);
    }
  }
  EXPECT_EQ(CodeOf(volume().Allocate(file_, AllocateMode::kPunchHole, 0, 0)), ErrorCode::kInvalid);
}

TEST_F(VolumeData, SeekFindsDataAndHoles) {
  world_.Write(file_, 2 * kBlockSize, "x");  // pending
  ASSERT_TRUE(volume().Allocate(file_, AllocateMode::kAllocate, 4 * kBlockSize, kBlockSize));
  world_.Write(file_, 6 * kBlockSize, "y");
  for (const bool sync : {false, true}) {
    if (sync) {
      ASSERT_TRUE(volume().Fsync(file_, false));
    }
    EXPECT_EQ(*volume().Seek(file_, 0, SeekTo::kData), 2 * kBlockSize);
    EXPECT_EQ(*volume().Seek(file_, 2 * kBlockSize + 5, SeekTo::kData), 2 * kBlockSize + 5);
    EXPECT_EQ(*volume().Seek(file_, 2 * kBlockSize, SeekTo::kHole), 3 * kBlockSize);
    EXPECT_EQ(*volume().Seek(file_, 3 * kBlockSize, SeekTo::kData), 6 * kBlockSize);
    EXPECT_EQ(*volume().Seek(file_, 6 * kBlockSize, SeekTo::kHole), 6 * kBlockSize + 1);
    EXPECT_EQ(CodeOf(volume().Seek(file_, 6 * kBlockSize + 1, SeekTo::kData)),
              ErrorCode::kNoSuchDevice);
  }
}

TEST_F(VolumeData, AllocatedSaysWhatAFileOccupiesBehindItsEndToo) {
  world_.Write(file_, 2 * kBlockSize, "x");  // pending
  world_.Write(file_, 3 * kBlockSize, "y");
  ASSERT_TRUE(volume().Allocate(file_, AllocateMode::kAllocateKeepSize, 3 * kBlockSize,
                                2 * kBlockSize + 1));
  const std::vector<AllocatedRun> runs = {{2, 2, false}, {4, 2, true}};
  EXPECT_EQ(*volume().Allocated(file_), runs);
  ASSERT_TRUE(volume().Fsync(file_, false));
  world_.Crash();
  file_ = world_.Find(kRootIno, "f");
  EXPECT_EQ(*volume().Allocated(file_), runs);
  EXPECT_EQ(world_.Stat(file_).blocks, 4U * 8);
  EXPECT_EQ(CodeOf(volume().Allocated(kRootIno)), ErrorCode::kIsDirectory);
}

TEST_F(VolumeData, ACopyWithinAFileEndsWhereTheFileEndedBefore) {
  world_.Write(file_, 0, std::string(100, 'x'));
  EXPECT_EQ(*volume().CopyRange(file_, 0, file_, 16384, 4096), 100U);
  EXPECT_EQ(world_.Stat(file_).size, 16484U);
}

TEST_F(VolumeData, CopyRangeCopies) {
  const Ino other = world_.Create(kRootIno, "g");
  std::string text;
  for (int i = 0; i < 30000; ++i) text += static_cast<char>('a' + i % 26);
  world_.Write(file_, 0, text);
  EXPECT_EQ(*volume().CopyRange(file_, 100, other, 7, 1 << 20), text.size() - 100);
  EXPECT_EQ(world_.Read(other), std::string(7, '\0') + text.substr(100));
  EXPECT_EQ(*volume().CopyRange(file_, 0, file_, 40000, 1000), 1000U);
  EXPECT_EQ(world_.Read(file_, 40000), text.substr(0, 1000));
  EXPECT_EQ(CodeOf(volume().CopyRange(file_, 0, file_, 10, 1000)), ErrorCode::kInvalid);
  EXPECT_EQ(*volume().CopyRange(file_, 1 << 20, other, 0, 10), 0U);
}

TEST_F(VolumeData, DataCallsRefuseWhatIsNoFile) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  const auto fifo = volume().MakeNode(kRootIno, "p", 0010644, 0, world_.caller);
  const auto bytes = std::as_bytes(std::span(std::string_view("x")));
  EXPECT_EQ(CodeOf(volume().Write(dir, 0, bytes)), ErrorCode::kIsDirectory);
  EXPECT_EQ(CodeOf(volume().Write(fifo->ino, 0, bytes)), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(volume().Read(dir, 0, 1, [](auto) {})), ErrorCode::kIsDirectory);
  EXPECT_EQ(CodeOf(world_.Truncate(dir, 0)), ErrorCode::kIsDirectory);
}

TEST_F(VolumeData, TimesMoveAsPosixSays) {
  world_.clock().fixed = Timestamp{1000, 1};
  const Ino file = world_.Create(kRootIno, "t");
  const auto times = [&] { return world_.Stat(file); };
  EXPECT_EQ(times().btime, (Timestamp{1000, 1}));
  world_.clock().fixed = Timestamp{2000, 2};
  world_.Write(file, 0, "x");
  EXPECT_EQ(times().mtime, (Timestamp{2000, 2}));
  EXPECT_EQ(times().ctime, (Timestamp{2000, 2}));
  EXPECT_EQ(times().atime, (Timestamp{1000, 1}));
  world_.clock().fixed = Timestamp{3000, 3};
  world_.Read(file);
  EXPECT_EQ(times().atime, (Timestamp{3000, 3}));
  world_.clock().fixed = Timestamp{4000, 4};
  world_.Read(file);
  EXPECT_EQ(times().atime, (Timestamp{3000, 3})) << "relatime";
  ASSERT_TRUE(volume().SetAttributes(file, Mode(0600)));
  EXPECT_EQ(times().ctime, (Timestamp{4000, 4}));
  EXPECT_EQ(times().mtime, (Timestamp{2000, 2}));
  ASSERT_TRUE(volume().SetAttributes(file, Changing([](AttributeChange& change) {
                                       change.mtime = Timestamp{-5, 999999999};
                                     })));
  EXPECT_EQ(times().mtime, (Timestamp{-5, 999999999}));
  world_.clock().fixed = Timestamp{5000, 5};
  ASSERT_TRUE(volume().Link(file, kRootIno, "t2"));
  EXPECT_EQ(times().ctime, (Timestamp{5000, 5}));
  EXPECT_EQ(world_.Stat(kRootIno).mtime, (Timestamp{5000, 5}));
  world_.Remount();
  EXPECT_EQ(world_.Stat(file).mtime, (Timestamp{-5, 999999999}));
  EXPECT_EQ(world_.Stat(file).btime, (Timestamp{1000, 1}));
  EXPECT_EQ(world_.Stat(file).atime, (Timestamp{3000, 3}));
}

TEST_F(VolumeData, XattrsFollowTheirRules) {
  EXPECT_TRUE(volume().SetXattr(file_, "user.a", "1", XattrMode::kAny));
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "user.a", "2", XattrMode::kCreate)),
            ErrorCode::kExists);
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "user.b", "2", XattrMode::kReplace)),
            ErrorCode::kNoData);
  EXPECT_TRUE(volume().SetXattr(file_, "user.a", "2", XattrMode::kReplace));
  EXPECT_TRUE(volume().SetXattr(file_, "trusted.t", "3", XattrMode::kAny));
  EXPECT_TRUE(volume().SetXattr(file_, "security.s", "", XattrMode::kAny));
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "other.x", "", XattrMode::kAny)),
            ErrorCode::kNotSupported);
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "user.", "", XattrMode::kAny)), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "user.big", std::string(70000, 'x'), XattrMode::kAny)),
            ErrorCode::kNoSpace);
  const auto link = volume().MakeSymlink(kRootIno, "l", "x", world_.caller);
  EXPECT_EQ(CodeOf(volume().SetXattr(link->ino, "user.a", "1", XattrMode::kAny)),
            ErrorCode::kPermission);
  EXPECT_TRUE(volume().SetXattr(link->ino, "trusted.a", "1", XattrMode::kAny));
  world_.Remount();
  EXPECT_EQ(*volume().GetXattr(file_, "user.a"), "2");
  EXPECT_EQ(*volume().GetXattr(file_, "security.s"), "");
  auto names = *volume().ListXattrs(file_);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"security.s", "trusted.t", "user.a"}));
  EXPECT_TRUE(volume().RemoveXattr(file_, "user.a"));
  EXPECT_EQ(CodeOf(volume().RemoveXattr(file_, "user.a")), ErrorCode::kNoData);
  EXPECT_EQ(CodeOf(volume().GetXattr(file_, "user.a")), ErrorCode::kNoData);
}

std::string Acl(std::initializer_list<std::array<uint32_t, 3>> entries) {
  std::string value("\2\0\0\0", 4);
  for (const auto& [tag, permissions, id] : entries) {
    const std::array<uint16_t, 2> head{static_cast<uint16_t>(tag),
                                       static_cast<uint16_t>(permissions)};
    value.append(reinterpret_cast<const char*>(head.data()), 4);
    value.append(reinterpret_cast<const char*>(&id), 4);
  }
  return value;
}
constexpr uint32_t kNoId = 0xffffffff;

TEST_F(VolumeData, AnAccessListAndTheModeSayTheSame) {
  const std::string_view name = "system.posix_acl_access";
  const auto named = Acl({{1, 7, kNoId}, {2, 7, 5}, {4, 5, kNoId}, {16, 6, kNoId}, {32, 0, kNoId}});
  ASSERT_TRUE(volume().SetXattr(file_, name, named, XattrMode::kAny));
  EXPECT_EQ(world_.Stat(file_).mode, 0100760U);
  EXPECT_EQ(*volume().GetXattr(file_, name), named);
  ASSERT_TRUE(volume().SetAttributes(file_, Mode(0600)));
  EXPECT_EQ(*volume().GetXattr(file_, name),
            Acl({{1, 6, kNoId}, {2, 7, 5}, {4, 5, kNoId}, {16, 0, kNoId}, {32, 0, kNoId}}));
  // A list that is just a mode is not stored.
  ASSERT_TRUE(volume().SetXattr(file_, name, Acl({{1, 6, kNoId}, {4, 4, kNoId}, {32, 4, kNoId}}),
                                XattrMode::kAny));
  EXPECT_EQ(world_.Stat(file_).mode, 0100644U);
  EXPECT_EQ(CodeOf(volume().GetXattr(file_, name)), ErrorCode::kNoData);
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, "system.posix_acl_default", named, XattrMode::kAny)),
            ErrorCode::kAccess);
  EXPECT_EQ(CodeOf(volume().SetXattr(file_, name, "junkjunk", XattrMode::kAny)),
            ErrorCode::kInvalid);
}

TEST_F(VolumeData, ADefaultListIsInheritedInsteadOfTheUmask) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  const auto list = Acl({{1, 7, kNoId}, {2, 7, 5}, {4, 5, kNoId}, {16, 7, kNoId}, {32, 5, kNoId}});
  ASSERT_TRUE(volume().SetXattr(dir, "system.posix_acl_default", list, XattrMode::kAny));
  const Caller caller{1, 1, 077};
  const auto made = volume().Create(dir, "f", 0664, caller);
  EXPECT_EQ(made->mode, 0100664U);
  EXPECT_EQ(*volume().GetXattr(made->ino, "system.posix_acl_access"),
            Acl({{1, 6, kNoId}, {2, 7, 5}, {4, 5, kNoId}, {16, 6, kNoId}, {32, 4, kNoId}}));
  const auto sub = volume().MakeDirectory(dir, "s", 0777, caller);
  EXPECT_EQ(sub->mode, 0040775U);
  EXPECT_EQ(*volume().GetXattr(sub->ino, "system.posix_acl_default"), list);
  world_.Remount();
}

}  // namespace
}  // namespace mirdax::test
