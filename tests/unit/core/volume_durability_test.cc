// SPDX-License-Identifier: BSD-2-Clause
// What survives, what a full pool does, what a failing medium does.
#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

std::string Pattern(uint64_t offset, uint64_t length) {
  std::string text(length, '\0');
  for (uint64_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>(1 + ((offset + i) * 2654435761U >> 16) % 255);
  }
  return text;
}

TEST(VolumeDurability, AFsyncedFileAndItsNameSurviveAPowerCut) {
  World world;
  const Ino dir = world.MakeDirectory(kRootIno, "d");
  const Ino file = world.Create(dir, "f");
  world.Write(file, 0, "kept");
  world.Create(dir, "later");
  ASSERT_TRUE(world.volume().Fsync(file, true));
  world.Write(file, 0, "lost");
  world.Crash();
  EXPECT_EQ(world.Read(world.Find(world.Find(kRootIno, "d"), "f")), "kept");
}

TEST(VolumeDurability, NothingIsDurableBeforeASync) {
  World world;
  world.Create(kRootIno, "f");
  world.Crash();
  EXPECT_EQ(world.Find(kRootIno, "f"), 0U);
}

TEST(VolumeDurability, TheCommitIntervalMakesEverythingDurable) {
  World world;
  world.Write(world.Create(kRootIno, "f"), 0, "text");
  ASSERT_TRUE(world.volume().Tick());
  EXPECT_EQ(world.volume().GetStatus().pending_bytes, 0U);
  world.Crash();
  EXPECT_EQ(world.Read(world.Find(kRootIno, "f")), "text");
}

TEST(VolumeDurability, WithSyncAlwaysEveryChangeIsDurableWhenItReturns) {
  World::Options options;
  options.volume.sync_always = true;
  World world(options);
  const Ino file = world.Create(kRootIno, "f");
  world.Write(file, 0, "text");
  ASSERT_TRUE(world.Truncate(file, 3));
  ASSERT_TRUE(world.volume().SetXattr(file, "user.x", "y", XattrMode::kAny));
  world.Crash();
  EXPECT_EQ(world.Read(world.Find(kRootIno, "f")), "tex");
  EXPECT_EQ(*world.volume().GetXattr(world.Find(kRootIno, "f"), "user.x"), "y");
  ASSERT_TRUE(world.volume().Rename(kRootIno, "f", kRootIno, "g", 0));
  world.Crash();
  EXPECT_NE(world.Find(kRootIno, "g"), 0U);
  ASSERT_TRUE(world.volume().Unlink(kRootIno, "g"));
  world.Crash();
  EXPECT_EQ(world.Find(kRootIno, "g"), 0U);
}

TEST(VolumeDurability, TheSizeNeverCoversBytesThatWereNotWritten) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world;
    std::mt19937_64 random(seed);
    const Ino file = world.Create(kRootIno, "f");
    ASSERT_TRUE(world.volume().FsyncDirectory(kRootIno));
    uint64_t size = 0;
    uint64_t synced = 0;
    for (uint64_t i = random() % 40; i > 0; --i) {
      const uint64_t length = 1 + random() % 9000;
      world.Write(file, size, Pattern(size, length));
      size += length;
      if (random() % 6 == 0) {
        ASSERT_TRUE(world.volume().Fsync(file, random() % 2 == 0));
        synced = size;
      }
      if (random() % 9 == 0) {  // metadata of the file goes out without its data
        ASSERT_TRUE(world.volume().SetAttributes(file, Mode(0600)));
        ASSERT_TRUE(world.volume().FsyncDirectory(kRootIno));
      }
    }
    world.Crash(seed);
    const std::string text = world.Read(world.Find(kRootIno, "f"));
    ASSERT_GE(text.size(), synced) << "seed " << seed;
    ASSERT_TRUE(text == Pattern(0, text.size())) << "seed " << seed;
  }
}

// A mirror in miniature: has what it was sent, and nothing else.
class MirrorImage {
 public:
  explicit MirrorImage(World& world) : world_(world), image_(*world.recorder().CrashImage({})) {
    world.sink().on_post = [this](const ReplicationBatch& batch) {
      for (const PoolRange& range : batch.data) Take(range.offset, range.length);
      const PoolRange& journal = world_.pool().geometry().journal;
      for (Lsn lsn = batch.from; lsn < batch.to; lsn += kLineSize)
        Take(journal.offset + lsn % journal.length, kLineSize);
      commit_ = batch.to;
    };
    world.sink().on_wait = [this] {
      std::memcpy(image_.bytes().data() + kCommitLineOffset, &commit_, sizeof(commit_));
      states_.emplace_back(image_.bytes().begin(), image_.bytes().end());
    };
  }
  MirrorImage(const MirrorImage&) = delete;
  MirrorImage& operator=(const MirrorImage&) = delete;
  ~MirrorImage() { world_.sink().on_post = nullptr, world_.sink().on_wait = nullptr; }

  // Its bytes after each commit.
  const std::vector<std::vector<std::byte>>& states() const { return states_; }

 private:
  void Take(uint64_t offset, uint64_t length) {
    std::memcpy(image_.bytes().data() + offset, world_.recorder().At(offset, length), length);
  }

  World& world_;
  Mapping image_;
  Lsn commit_ = 0;
  std::vector<std::vector<std::byte>> states_;
};

TEST(VolumeDurability, ASizeIsNotCommittedBeforeTheAppendedBytesOfTheLastMappedBlock) {
  // How full the running transaction is decides where it is closed in the middle of a sync; each
  // commit of the sync is a moment at which the primary may be lost.
  constexpr uint64_t kOthers = 240;
  World world;
  std::vector<Ino> others;
  for (uint64_t i = 0; i < kOthers; ++i)
    others.push_back(world.Create(kRootIno, "o" + std::to_string(i)));
  int cut_in_two = 0;
  for (uint64_t changed = 0; changed <= kOthers; changed += 6) {
    const std::string name = "f" + std::to_string(changed);
    const Ino file = world.Create(kRootIno, name);
    std::string model = Pattern(0, 100);
    world.Write(file, 0, model);
    ASSERT_TRUE(world.volume().Fsync(file, false));
    const MirrorImage mirror(world);
    const std::string appended = Pattern(100, 2 * kBlockSize - 100);
    world.Write(file, 100, appended);
    model += appended;
    for (uint64_t block = 3; block < 20; block += 2) {  // each an extent of its own
      model.resize(block * kBlockSize);
      world.Write(file, block * kBlockSize, "end");
      model += "end";
    }
    for (uint64_t i = 0; i < changed; ++i) {
      const auto mode = static_cast<uint32_t>(0600 + changed % 8);
      ASSERT_TRUE(world.volume().SetAttributes(others[i], Mode(mode)));
    }
    ASSERT_TRUE(world.volume().Fsync(file, false));
    if (mirror.states().size() > 1) ++cut_in_two;
    for (const std::vector<std::byte>& state : mirror.states()) {
      World after{std::span<const std::byte>(state)};
      const std::string text = after.Read(after.Find(kRootIno, name));
      ASSERT_TRUE(text == model.substr(0, text.size())) << changed << ": " << text.size();
    }
    EXPECT_EQ(world.Read(file), model);
  }
  EXPECT_GT(cut_in_two, 0) << "no transaction was closed between two extents";
}

TEST(VolumeDurability, FsyncOfACleanFileMakesAnEarlierRenameDurable) {
  World world;
  const Ino clean = world.Create(kRootIno, "clean");
  world.Create(kRootIno, "old");
  ASSERT_TRUE(world.volume().Fsync(clean, false));
  ASSERT_TRUE(world.volume().Rename(kRootIno, "old", kRootIno, "new", 0));
  ASSERT_TRUE(world.volume().Fsync(clean, true));
  world.Crash();
  EXPECT_EQ(world.Find(kRootIno, "old"), 0U);
  EXPECT_NE(world.Find(kRootIno, "new"), 0U);
}

TEST(VolumeDurability, AFullPoolTakesNoMoreAndGivesEverythingBack) {
  World world(World::Options{.pool_size = kMinPoolSize, .inode_count = std::nullopt});
  Volume& volume = world.volume();
  const SpaceReport empty = *volume.Space();
  const std::string chunk = Pattern(0, 50000);
  uint64_t first_total = 0;
  for (int round = 0; round < 3; ++round) {
    uint64_t total = 0;
    int files = 0;
    bool full = false;
    while (!full) {
      const Ino file = world.Create(kRootIno, "f" + std::to_string(files++));
      for (uint64_t at = 0; at < 10; ++at) {
        const auto written = volume.Write(file, total, std::as_bytes(std::span(chunk)));
        if (!written) {
          EXPECT_EQ(CodeOf(written), ErrorCode::kNoSpace);
        }
        if (!written || *written < chunk.size()) full = true;
        total += written.value_or(0);
        if (full) break;
      }
      volume.Forget(file, 1);
    }
    if (round == 0) first_total = total;
    EXPECT_GE(total, first_total * 9 / 10) << "round " << round;
    ASSERT_TRUE(volume.SyncAll()) << "what was accepted has room";
    // A full pool still takes away, cuts off and renames.
    ASSERT_TRUE(volume.Rename(kRootIno, "f0", kRootIno, "r0", 0));
    ASSERT_TRUE(world.Truncate(world.Find(kRootIno, "r0"), 7));
    ASSERT_TRUE(volume.Rename(kRootIno, "r0", kRootIno, "f0", 0));
    if (round == 1) world.Remount();
    for (int i = 0; i < files; ++i) {
      ASSERT_TRUE(world.volume().Unlink(kRootIno, "f" + std::to_string(i)));
    }
    EXPECT_EQ(world.volume().Space()->blocks_free, empty.blocks_free);
    if (round == 1) return;  // the reference to the first volume ends with it
  }
}

TEST(VolumeDurability, InodesRunOutAndComeBack) {
  World world(World::Options{.pool_size = kMinPoolSize, .inode_count = 64});
  for (int round = 0; round < 3; ++round) {
    int made = 0;
    for (;; ++made) {
      const auto file =
          world.volume().Create(kRootIno, "f" + std::to_string(made), 0644, world.caller);
      if (!file) {
        EXPECT_EQ(CodeOf(file), ErrorCode::kNoSpace);
        break;
      }
      world.volume().Forget(file->ino, 1);
    }
    EXPECT_GE(made, 60) << "round " << round;
    for (int i = 0; i < made; ++i) {
      ASSERT_TRUE(world.volume().Unlink(kRootIno, "f" + std::to_string(i)));
    }
    if (round == 1) world.Remount();
  }
}

TEST(VolumeDurability, AFailedSyncStaysFailed) {
  World world;
  const Ino file = world.Create(kRootIno, "f");
  world.Write(file, 0, "safe");
  ASSERT_TRUE(world.volume().Fsync(file, false));
  world.Write(file, 0, "lost");
  world.recorder().FailDrain(1, false);
  EXPECT_FALSE(world.volume().Fsync(file, false));
  EXPECT_FALSE(world.volume().Fsync(file, false)) << "no later success may hide the loss";
  EXPECT_FALSE(world.volume().SyncAll());
  EXPECT_EQ(world.Read(file).size(), 4U) << "reads go on";
  EXPECT_EQ(CodeOf(world.volume().Create(kRootIno, "g", 0644, world.caller)), ErrorCode::kShutdown);
  EXPECT_FALSE(world.volume().Unmount());
  EXPECT_EQ(world.private_store().Get().clean, 0U);
}

TEST(VolumeDurability, AMountIsMarkedUntilItEndsCleanly) {
  World world;
  const uint64_t mounts = world.private_store().Get().mount_count;
  EXPECT_EQ(world.private_store().Get().clean, 0U);
  ASSERT_TRUE(world.volume().Unmount());
  EXPECT_EQ(world.private_store().Get().clean, 1U);
  EXPECT_EQ(world.volume().GetStatus().tail, world.volume().GetStatus().commit);
  EXPECT_EQ(CodeOf(world.volume().Create(kRootIno, "f", 0644, world.caller)), ErrorCode::kShutdown);
  ASSERT_TRUE(world.TryMount());
  EXPECT_EQ(world.private_store().Get().mount_count, mounts + 1);
}

TEST(VolumeDurability, APunchedBlockIsNotUsedAgainBeforeItsRecordIsStable) {
  World world(World::Options{.pool_size = kMinPoolSize, .inode_count = std::nullopt});
  const Ino a = world.Create(kRootIno, "a");
  const std::string text = Pattern(0, 400000);
  world.Write(a, 0, text);
  ASSERT_TRUE(world.volume().Fsync(a, false));
  ASSERT_TRUE(world.volume().Unlink(kRootIno, "a"));
  world.volume().Forget(a, 1);
  // Not synced: after the power cut the old file must be whole, whatever was written since.
  const Ino b = world.Create(kRootIno, "b");
  world.Write(b, 0, std::string(400000, 'b'));
  world.Crash();
  EXPECT_TRUE(world.Read(world.Find(kRootIno, "a")) == text);
}

}  // namespace
}  // namespace mirdax::test
