// SPDX-License-Identifier: BSD-2-Clause
// A medium that refuses bytes under a mounted volume: an error to those who need them, never zeros,
// never the end of the process.
#include "tests/support/poison.h"
#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

using testing::Test;

std::string Block(char first) {
  std::string block(kBlockSize, first);
  for (size_t i = 1; i < block.size(); ++i)
    block[i] = static_cast<char>(first + static_cast<int>(i % 13));
  return block;
}

class VolumePoison : public Test {
 protected:
  VolumePoison() : file_(world_.Create(kRootIno, "f")) {
    world_.Write(file_, 0, Block('A') + Block('J') + Block('S'));
    EXPECT_TRUE(world_.volume().Fsync(file_, false));
  }
  // Where a block of these bytes lies.
  uint64_t Find(const std::string& bytes) {
    const std::span<std::byte> memory = world_.recorder().memory();
    for (uint64_t at = world_.pool().geometry().data.offset; at < memory.size(); at += kBlockSize)
      if (std::memcmp(memory.data() + at, bytes.data(), bytes.size()) == 0) return at;
    ADD_FAILURE() << "no such block";
    return 0;
  }
  // As the kernel reads: it finds what is refused, and nobody gets the bytes.
  void ReadAsTheKernel(Ino ino) {
    EXPECT_TRUE(world_.volume().Read(ino, 0, kMaxFileSize, [](auto spans) {
      for (const auto span : spans) FindBad(span);
    }));
  }
  Status Read(uint64_t offset, uint64_t length) {
    return world_.volume().Read(file_, offset, length, [](auto) {});
  }
  Result<uint64_t> Write(uint64_t offset, const std::string& bytes) {
    return world_.volume().Write(file_, offset, std::as_bytes(std::span(bytes)));
  }
  bool Stopped() { return world_.volume().GetStatus().shut_down; }
  void GoesOn() {
    EXPECT_FALSE(Stopped());
    const Ino other = world_.Create(kRootIno, "other");
    world_.Write(other, 0, "something");
    EXPECT_TRUE(world_.volume().Fsync(other, false));
    EXPECT_EQ(world_.Read(other), "something");
  }

  World world_;
  const Ino file_;
};

TEST_F(VolumePoison, RefusedFileDataIsAnErrorFromThenOnAndTheMountGoesOn) {
  const Poison poison(world_.recorder(), Find(Block('J')));
  ReadAsTheKernel(file_);
  EXPECT_EQ(CodeOf(Read(kBlockSize, 1)), ErrorCode::kIo);
  EXPECT_EQ(CodeOf(Read(0, 3 * kBlockSize)), ErrorCode::kIo);
  EXPECT_EQ(world_.Read(file_, 0, kBlockSize), Block('A'));
  EXPECT_EQ(world_.Read(file_, 2 * kBlockSize), Block('S'));
  const VolumeStatus status = world_.volume().GetStatus();
  ASSERT_EQ(status.bad.size(), 1U);
  EXPECT_EQ(status.bad[0].range.offset, poison.offset());
  EXPECT_FALSE(status.bad[0].metadata);
  GoesOn();
}

TEST_F(VolumePoison, ACopyOfRefusedFileDataIsAnErrorAndStoresNothing) {
  const Ino other = world_.Create(kRootIno, "copy");
  const Poison poison(world_.recorder(), Find(Block('J')));
  EXPECT_EQ(CodeOf(world_.volume().CopyRange(file_, 0, other, 0, 3 * kBlockSize)), ErrorCode::kIo);
  EXPECT_EQ(world_.Stat(other).size, 0U);
  EXPECT_EQ(*world_.volume().CopyRange(file_, 0, other, 0, kBlockSize), kBlockSize);
  EXPECT_EQ(CodeOf(Read(kBlockSize, 1)), ErrorCode::kIo);
  GoesOn();
}

TEST_F(VolumePoison, AReadOfVeryManyPiecesFailsAsOneOfFew) {
  const Ino sparse = world_.Create(kRootIno, "sparse");
  for (uint64_t i = 0; i < Volume::kMostSpans; ++i)
    world_.Write(sparse, 2 * i * kBlockSize, Block(static_cast<char>('a' + i % 11)));
  EXPECT_EQ(world_.Read(sparse).size(), (2 * Volume::kMostSpans - 1) * kBlockSize);
  EXPECT_TRUE(world_.volume().Fsync(sparse, false));
  const Poison poison(world_.recorder(), Find(Block('b')));
  EXPECT_EQ(CodeOf(world_.volume().Read(sparse, 0, kMaxFileSize, [](auto) { FAIL(); })),
            ErrorCode::kIo);
  GoesOn();
}

TEST_F(VolumePoison, AWriteIntoARefusedBlockFailsAndWhatCameBeforeIsWritten) {
  const Poison poison(world_.recorder(), Find(Block('J')));
  const Result<uint64_t> written = Write(100, std::string(2 * kBlockSize, 'n'));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(*written, kBlockSize - 100);
  EXPECT_EQ(CodeOf(Write(kBlockSize, "n")), ErrorCode::kIo);
  EXPECT_EQ(CodeOf(Write(kBlockSize, Block('n'))), ErrorCode::kIo);
  EXPECT_TRUE(world_.volume().Fsync(file_, false));  // of what was taken
  EXPECT_EQ(world_.Read(file_, 0, kBlockSize),
            Block('A').substr(0, 100) + std::string(kBlockSize - 100, 'n'));
  EXPECT_EQ(world_.Read(file_, 2 * kBlockSize), Block('S'));
  GoesOn();
}

TEST_F(VolumePoison, ANewBlockThatTheMediumRefusesIsNotUsedAgain) {
  const uint64_t last = Find(Block('S')) + kBlockSize;  // the next block of the file
  const Poison poison(world_.recorder(), last);
  const Result<uint64_t> written = Write(3 * kBlockSize, Block('n'));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kIo);
  EXPECT_TRUE(world_.volume().GetStatus().bad[0].range.offset == last);
  EXPECT_EQ(*Write(3 * kBlockSize, Block('n')), kBlockSize);  // elsewhere
  EXPECT_TRUE(world_.volume().Fsync(file_, false));
  EXPECT_EQ(world_.Read(file_, 3 * kBlockSize), Block('n'));
  GoesOn();
}

TEST_F(VolumePoison, WhatIsLostAfterTheWriteFailsEverySyncOfItsFileAndNoOther) {
  EXPECT_EQ(*Write(kBlockSize, Block('n')), kBlockSize);
  const Poison poison(world_.recorder(), Find(Block('n')));
  ReadAsTheKernel(file_);
  EXPECT_EQ(CodeOf(world_.volume().Fsync(file_, false)), ErrorCode::kIo);
  EXPECT_EQ(CodeOf(world_.volume().Fsync(file_, false)), ErrorCode::kIo);
  GoesOn();
  // Without these bytes there is nothing that cannot be made durable.
  EXPECT_TRUE(world_.volume().Allocate(file_, AllocateMode::kPunchHole, kBlockSize, kBlockSize));
  EXPECT_TRUE(world_.volume().Fsync(file_, false));
  EXPECT_EQ(world_.Read(file_, kBlockSize, kBlockSize), std::string(kBlockSize, '\0'));
}

TEST_F(VolumePoison, ATruncationIntoARefusedBlockFailsAndChangesNothing) {
  const Poison poison(world_.recorder(), Find(Block('J')));
  EXPECT_EQ(CodeOf(world_.Truncate(file_, kBlockSize + 100)), ErrorCode::kIo);
  EXPECT_EQ(world_.Stat(file_).size, 3 * kBlockSize);
  EXPECT_EQ(CodeOf(world_.volume().Allocate(file_, AllocateMode::kPunchHole, kBlockSize + 100,
                                            2 * kBlockSize)),
            ErrorCode::kIo);
  EXPECT_EQ(world_.Read(file_, 2 * kBlockSize), Block('S'));
  EXPECT_TRUE(world_.Truncate(file_, kBlockSize));
  EXPECT_EQ(world_.Read(file_), Block('A'));
  GoesOn();
}

TEST_F(VolumePoison, ARefusedTargetOfASymbolicLinkIsAnError) {
  const std::string target(600, 't');
  const auto link = world_.volume().MakeSymlink(kRootIno, "l", target, world_.caller);
  ASSERT_TRUE(link);
  EXPECT_TRUE(world_.volume().SyncAll());
  const Poison poison(world_.recorder(), Find(target));
  EXPECT_EQ(CodeOf(world_.volume().ReadLink(link->ino)), ErrorCode::kIo);
  GoesOn();
}

class VolumeMetadataPoison : public VolumePoison {
 protected:
  VolumeMetadataPoison() {
    for (int i = 0; i < 60; ++i) names_.push_back(world_.Create(kRootIno, std::to_string(i)));
    world_.Remount();
  }
  uint64_t InodePage() { return world_.pool().geometry().InodeOffset(names_.back()); }
  // What is there after a power cut, with a medium that gives everything again.
  void AfterACut(Poison& poison) {
    poison.Cure();
    world_.Crash();
    EXPECT_EQ(world_.Read(world_.Find(kRootIno, "f")), Block('A') + Block('J') + Block('S'));
    EXPECT_EQ(world_.Find(kRootIno, "new"), 0U);
    EXPECT_EQ(world_.Find(kRootIno, "59"), names_.back());
  }

  std::vector<Ino> names_;
  SeededRandom random_{1};
};

TEST_F(VolumeMetadataPoison, StopsTheFilesystemAndReadsGoOn) {
  const Ino file = world_.Find(kRootIno, "f");
  Poison poison(world_.recorder(), InodePage());
  const auto found = world_.volume().Lookup(kRootIno, "59");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kIo);
  EXPECT_NE(found.error().message.find(std::to_string(poison.offset())), std::string::npos)
      << found.error().message;
  EXPECT_TRUE(Stopped());
  EXPECT_TRUE(world_.volume().GetStatus().bad[0].metadata);
  EXPECT_EQ(world_.Read(file), Block('A') + Block('J') + Block('S'));
  EXPECT_EQ(CodeOf(world_.volume().Create(kRootIno, "new", 0600, world_.caller)),
            ErrorCode::kShutdown);
  EXPECT_EQ(CodeOf(world_.volume().GetAttributes(names_.back())), ErrorCode::kIo);
  EXPECT_FALSE(world_.volume().Unmount());
  AfterACut(poison);
}

TEST_F(VolumeMetadataPoison, NothingThatWasChangedBesideItIsCommitted) {
  const Ino fresh = world_.Create(kRootIno, "new");
  const Lsn before = world_.volume().GetStatus().commit;
  Poison poison(world_.recorder(), InodePage());
  // Whoever meets it: even a forget, which answers nobody.
  EXPECT_EQ(*world_.recorder().At(InodePage(), 1), std::byte{0});
  const Status synced = world_.volume().Fsync(fresh, false);
  ASSERT_FALSE(synced);
  EXPECT_TRUE(Stopped());
  EXPECT_EQ(world_.volume().GetStatus().commit, before);
  AfterACut(poison);
}

TEST_F(VolumeMetadataPoison, InTheJournalKeepsTheCommitWordWhereItIs) {
  const Ino fresh = world_.Create(kRootIno, "new");
  const Geometry& geometry = world_.pool().geometry();
  const Lsn before = world_.volume().GetStatus().commit;
  Poison poison(world_.recorder(), geometry.journal.offset + before % geometry.journal.length);
  EXPECT_FALSE(world_.volume().Fsync(fresh, false));
  EXPECT_TRUE(Stopped());
  EXPECT_EQ(world_.volume().GetStatus().commit, before);
  EXPECT_EQ(world_.recorder().As<CommitLine>(kCommitLineOffset).commit, before);
  AfterACut(poison);
}

TEST_F(VolumeMetadataPoison, InTheBitmapOfBlocksFailsTheMount) {
  ASSERT_TRUE(world_.volume().Unmount());
  Poison poison(world_.recorder(), world_.pool().geometry().block_bitmap.offset);
  const Status mounted = world_.TryMount();
  ASSERT_FALSE(mounted);
  EXPECT_EQ(mounted.error().code, ErrorCode::kIo);
  EXPECT_NE(mounted.error().message.find(std::to_string(poison.offset())), std::string::npos)
      << mounted.error().message;
  AfterACut(poison);
}

TEST_F(VolumeMetadataPoison, InTheRootInodeFailsTheMountAndSaysWhere) {
  ASSERT_TRUE(world_.volume().Unmount());
  Poison poison(world_.recorder(), world_.pool().geometry().InodeOffset(kRootIno));
  const Status mounted = world_.TryMount();
  ASSERT_FALSE(mounted);
  EXPECT_EQ(mounted.error().code, ErrorCode::kIo);
  EXPECT_NE(mounted.error().message.find(std::to_string(poison.offset())), std::string::npos)
      << mounted.error().message;
  AfterACut(poison);
}

TEST_F(VolumeMetadataPoison, InTheJournalFailsTheRecovery) {
  const Ino other = world_.Create(kRootIno, "other");
  ASSERT_TRUE(world_.volume().Fsync(other, false));
  const Geometry& geometry = world_.pool().geometry();
  const Lsn tail = world_.private_store().Get().tail;
  auto image = world_.recorder().CrashImage({});
  ASSERT_TRUE(image);
  auto region = RecorderRegion::Create(image->bytes());
  ASSERT_TRUE(region);
  Poison poison(**region, geometry.journal.offset + tail % geometry.journal.length);
  auto pool = MemoryPool::Open(std::move(*region));
  ASSERT_TRUE(pool);
  auto store = PrivateStore::Open((*pool)->region());
  ASSERT_TRUE(store);
  const auto mounted = Volume::Mount(**pool, **store, world_.sink(), world_.clock(), random_,
                                     VolumeOptions{.background = false});
  ASSERT_FALSE(mounted);
  EXPECT_EQ(mounted.error().code, ErrorCode::kIo);
  EXPECT_EQ((*store)->Get().tail, tail);
}

}  // namespace
}  // namespace mirdax::test
