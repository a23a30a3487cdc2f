// SPDX-License-Identifier: BSD-2-Clause
// What POSIX says of names, in sentences.
#include <linux/fs.h>

#include <set>

#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

class VolumeNames : public testing::Test {
 protected:
  Volume& volume() { return world_.volume(); }
  Status Rename(Ino from, std::string_view name, Ino to, std::string_view new_name,
                uint32_t flags = 0) {
    return volume().Rename(from, name, to, new_name, flags);
  }
  World world_;
};

TEST_F(VolumeNames, ANewFileBelongsToTheCallerAndObeysTheUmask) {
  const auto made = volume().Create(kRootIno, "a", 0666, Caller{7, 8, 027});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->mode, 0100640U);
  EXPECT_EQ(made->uid, 7U);
  EXPECT_EQ(made->gid, 8U);
  EXPECT_EQ(made->nlink, 1U);
  EXPECT_EQ(made->size, 0U);
  EXPECT_EQ(world_.Find(kRootIno, "a"), made->ino);
}

TEST_F(VolumeNames, ASetgidDirectoryGivesItsGroupAwayAndItsBitToDirectories) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  ASSERT_TRUE(volume().SetAttributes(dir, Changing([](AttributeChange& change) {
                                       change.mode = 02775;
                                       change.gid = 50;
                                     })));
  EXPECT_EQ(world_.Stat(world_.Create(dir, "f")).gid, 50U);
  const Attributes sub = world_.Stat(world_.MakeDirectory(dir, "s"));
  EXPECT_EQ(sub.gid, 50U);
  EXPECT_EQ(sub.mode & 02000, 02000U);
}

TEST_F(VolumeNames, EveryTypeOfNodeKeepsWhatItIs) {
  const auto device = volume().MakeNode(kRootIno, "dev", 0060600, 0x0803, world_.caller);
  ASSERT_TRUE(device.has_value());
  ASSERT_TRUE(volume().MakeNode(kRootIno, "fifo", 0010644, 0, world_.caller));
  ASSERT_TRUE(volume().MakeNode(kRootIno, "sock", 0140644, 0, world_.caller));
  EXPECT_EQ(CodeOf(volume().MakeNode(kRootIno, "bad", 0050644, 0, world_.caller)),
            ErrorCode::kInvalid);
  world_.Remount();
  EXPECT_EQ(world_.Stat(world_.Find(kRootIno, "dev")).rdev, 0x0803U);
  EXPECT_EQ(world_.Stat(world_.Find(kRootIno, "dev")).mode, 0060600U);
  EXPECT_EQ(world_.Stat(world_.Find(kRootIno, "fifo")).mode, 0010644U);
  EXPECT_EQ(world_.Stat(world_.Find(kRootIno, "sock")).mode, 0140644U);
}

TEST_F(VolumeNames, ANameIsTakenOnce) {
  world_.Create(kRootIno, "a");
  EXPECT_EQ(CodeOf(volume().Create(kRootIno, "a", 0644, world_.caller)), ErrorCode::kExists);
  EXPECT_EQ(CodeOf(volume().MakeDirectory(kRootIno, "a", 0755, world_.caller)), ErrorCode::kExists);
  EXPECT_EQ(CodeOf(volume().MakeSymlink(kRootIno, "a", "x", world_.caller)), ErrorCode::kExists);
}

TEST_F(VolumeNames, NamesHave255BytesAtMost) {
  const std::string longest(255, 'n');
  world_.Create(kRootIno, longest);
  EXPECT_NE(world_.Find(kRootIno, longest), 0U);
  const std::string more(256, 'n');
  EXPECT_EQ(CodeOf(volume().Create(kRootIno, more, 0644, world_.caller)), ErrorCode::kNameTooLong);
  EXPECT_EQ(CodeOf(volume().Lookup(kRootIno, more)), ErrorCode::kNameTooLong);
  EXPECT_EQ(CodeOf(volume().Unlink(kRootIno, more)), ErrorCode::kNameTooLong);
  EXPECT_EQ(CodeOf(Rename(kRootIno, longest, kRootIno, more)), ErrorCode::kNameTooLong);
}

TEST_F(VolumeNames, DotAndDotDotLeadWhereTheyShould) {
  const Ino a = world_.MakeDirectory(kRootIno, "a");
  const Ino b = world_.MakeDirectory(a, "b");
  EXPECT_EQ(world_.Find(b, "."), b);
  EXPECT_EQ(world_.Find(b, ".."), a);
  EXPECT_EQ(world_.Find(kRootIno, ".."), kRootIno);
}

TEST_F(VolumeNames, ADirectoryCountsItsSubdirectories) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  const uint32_t root_links = world_.Stat(kRootIno).nlink;
  EXPECT_EQ(world_.Stat(dir).nlink, 2U);
  world_.MakeDirectory(dir, "s");
  world_.Create(dir, "f");
  EXPECT_EQ(world_.Stat(dir).nlink, 3U);
  ASSERT_TRUE(volume().RemoveDirectory(dir, "s"));
  EXPECT_EQ(world_.Stat(dir).nlink, 2U);
  EXPECT_EQ(world_.Stat(kRootIno).nlink, root_links);
}

TEST_F(VolumeNames, OnlyEmptyDirectoriesAreRemoved) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  world_.Create(dir, "f");
  EXPECT_EQ(CodeOf(volume().RemoveDirectory(kRootIno, "d")), ErrorCode::kNotEmpty);
  EXPECT_EQ(CodeOf(volume().Unlink(kRootIno, "d")), ErrorCode::kIsDirectory);
  EXPECT_EQ(CodeOf(volume().RemoveDirectory(dir, "f")), ErrorCode::kNotDirectory);
  EXPECT_EQ(CodeOf(volume().RemoveDirectory(dir, ".")), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(volume().RemoveDirectory(dir, "..")), ErrorCode::kNotEmpty);
  ASSERT_TRUE(volume().Unlink(dir, "f"));
  ASSERT_TRUE(volume().RemoveDirectory(kRootIno, "d"));
  EXPECT_EQ(world_.Find(kRootIno, "d"), 0U);
}

TEST_F(VolumeNames, NothingIsMadeInARemovedDirectory) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  ASSERT_TRUE(volume().RemoveDirectory(kRootIno, "d"));
  EXPECT_EQ(CodeOf(volume().Create(dir, "f", 0644, world_.caller)), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(volume().MakeDirectory(dir, "f", 0755, world_.caller)), ErrorCode::kNotFound);
  world_.Create(kRootIno, "x");
  EXPECT_EQ(CodeOf(Rename(kRootIno, "x", dir, "x")), ErrorCode::kNotFound);
  volume().Forget(dir, 1);
  EXPECT_EQ(CodeOf(volume().GetAttributes(dir)), ErrorCode::kNotFound);
  world_.Remount();
}

TEST_F(VolumeNames, AHardLinkIsTheSameInode) {
  const Ino file = world_.Create(kRootIno, "a");
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  world_.Write(file, 0, "shared");
  const auto linked = volume().Link(file, dir, "b");
  ASSERT_TRUE(linked.has_value());
  EXPECT_EQ(linked->nlink, 2U);
  ASSERT_TRUE(volume().Unlink(kRootIno, "a"));
  EXPECT_EQ(world_.Read(world_.Find(dir, "b")), "shared");
  EXPECT_EQ(world_.Stat(file).nlink, 1U);
  EXPECT_EQ(CodeOf(volume().Link(dir, kRootIno, "d2")), ErrorCode::kPermission);
  EXPECT_EQ(CodeOf(volume().Link(file, dir, "b")), ErrorCode::kExists);
}

TEST_F(VolumeNames, SymlinksOfEveryLengthSayWhatTheyWereTold) {
  for (const size_t length : {size_t{1}, size_t{127}, size_t{128}, size_t{129}, size_t{4095}}) {
    const std::string target(length, 't');
    ASSERT_TRUE(
        volume().MakeSymlink(kRootIno, "s" + std::to_string(length), target, world_.caller));
  }
  EXPECT_EQ(CodeOf(volume().MakeSymlink(kRootIno, "s", std::string(4096, 't'), world_.caller)),
            ErrorCode::kNameTooLong);
  ASSERT_TRUE(volume().SyncAll());
  world_.Crash();
  for (const size_t length : {size_t{1}, size_t{127}, size_t{128}, size_t{129}, size_t{4095}}) {
    const Ino ino = world_.Find(kRootIno, "s" + std::to_string(length));
    EXPECT_EQ(*volume().ReadLink(ino), std::string(length, 't'));
    EXPECT_EQ(world_.Stat(ino).size, length);
    EXPECT_EQ(world_.Stat(ino).mode, 0120777U);
  }
  const Ino file = world_.Create(kRootIno, "f");
  EXPECT_EQ(CodeOf(volume().ReadLink(file)), ErrorCode::kInvalid);
}

TEST_F(VolumeNames, AnUnlinkedFileLivesWhileItIsKnown) {
  const Ino file = world_.Create(kRootIno, "a");
  world_.Write(file, 0, "still here");
  ASSERT_TRUE(volume().Unlink(kRootIno, "a"));
  EXPECT_EQ(world_.Read(file), "still here");
  EXPECT_EQ(world_.Stat(file).nlink, 0U);
  ASSERT_TRUE(volume().Fsync(file, false));
  volume().Forget(file, 1);
  EXPECT_EQ(CodeOf(volume().GetAttributes(file)), ErrorCode::kNotFound);
}

TEST_F(VolumeNames, AnUnlinkedOpenFileIsFreedAfterACrash) {
  const SpaceReport before = *volume().Space();
  const Ino file = world_.Create(kRootIno, "a");
  world_.Write(file, 0, std::string(1 << 20, 'x'));
  ASSERT_TRUE(volume().Fsync(file, false));
  ASSERT_TRUE(volume().Unlink(kRootIno, "a"));
  ASSERT_TRUE(volume().FsyncDirectory(kRootIno));
  world_.Crash();
  const SpaceReport after = *volume().Space();
  EXPECT_EQ(after.blocks_free, before.blocks_free);
  EXPECT_EQ(after.inodes_free, before.inodes_free);
}

TEST_F(VolumeNames, ATemporaryFileGoesUnlessItGetsAName) {
  const SpaceReport before = *volume().Space();
  const auto gone = volume().OpenTemporary(kRootIno, 0600, world_.caller);
  const auto kept = volume().OpenTemporary(kRootIno, 0600, world_.caller);
  ASSERT_TRUE(gone.has_value() && kept.has_value());
  EXPECT_EQ(gone->nlink, 0U);
  world_.Write(gone->ino, 0, "gone");
  world_.Write(kept->ino, 0, "kept");
  ASSERT_TRUE(volume().Link(kept->ino, kRootIno, "named"));
  volume().Forget(gone->ino, 1);
  volume().Forget(kept->ino, 2);
  world_.Remount();
  EXPECT_EQ(world_.Read(world_.Find(kRootIno, "named")), "kept");
  EXPECT_EQ(volume().Space()->inodes_free, before.inodes_free - 1);
}

TEST_F(VolumeNames, RenameReplacesAFile) {
  const Ino a = world_.Create(kRootIno, "a");
  const Ino b = world_.Create(kRootIno, "b");
  ASSERT_TRUE(Rename(kRootIno, "a", kRootIno, "b"));
  EXPECT_EQ(world_.Find(kRootIno, "a"), 0U);
  EXPECT_EQ(world_.Find(kRootIno, "b"), a);
  EXPECT_EQ(world_.Stat(b).nlink, 0U);
  volume().Forget(b, 1);
  EXPECT_EQ(CodeOf(volume().GetAttributes(b)), ErrorCode::kNotFound);
}

TEST_F(VolumeNames, RenameOfTwoLinksToOneInodeDoesNothing) {
  const Ino a = world_.Create(kRootIno, "a");
  ASSERT_TRUE(volume().Link(a, kRootIno, "b"));
  ASSERT_TRUE(Rename(kRootIno, "a", kRootIno, "b"));
  EXPECT_EQ(world_.Find(kRootIno, "a"), a);
  EXPECT_EQ(world_.Find(kRootIno, "b"), a);
}

TEST_F(VolumeNames, RenameRefusesWhatDoesNotFit) {
  const Ino d = world_.MakeDirectory(kRootIno, "d");
  world_.Create(kRootIno, "f");
  const Ino full = world_.MakeDirectory(kRootIno, "full");
  world_.Create(full, "x");
  EXPECT_EQ(CodeOf(Rename(kRootIno, "f", kRootIno, "d")), ErrorCode::kIsDirectory);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "d", kRootIno, "f")), ErrorCode::kNotDirectory);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "d", kRootIno, "full")), ErrorCode::kNotEmpty);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "none", kRootIno, "x")), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "f", kRootIno, "d", RENAME_NOREPLACE)), ErrorCode::kExists);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "f", kRootIno, "none", RENAME_EXCHANGE)), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "f", kRootIno, "g", RENAME_WHITEOUT)), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "f", kRootIno, "d", RENAME_NOREPLACE | RENAME_EXCHANGE)),
            ErrorCode::kInvalid);
  EXPECT_EQ(world_.Find(kRootIno, "d"), d);
}

TEST_F(VolumeNames, ADirectoryNeverMovesBelowItself) {
  const Ino a = world_.MakeDirectory(kRootIno, "a");
  const Ino b = world_.MakeDirectory(a, "b");
  const Ino c = world_.MakeDirectory(b, "c");
  EXPECT_EQ(CodeOf(Rename(kRootIno, "a", c, "x")), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "a", a, "x")), ErrorCode::kInvalid);
  EXPECT_EQ(CodeOf(Rename(b, "c", kRootIno, "a")), ErrorCode::kNotEmpty);
  EXPECT_EQ(CodeOf(Rename(b, "c", kRootIno, "a", RENAME_EXCHANGE)), ErrorCode::kInvalid);
}

TEST_F(VolumeNames, AMovedDirectoryKnowsItsNewParent) {
  const Ino a = world_.MakeDirectory(kRootIno, "a");
  const Ino b = world_.MakeDirectory(kRootIno, "b");
  const Ino s = world_.MakeDirectory(a, "s");
  ASSERT_TRUE(Rename(a, "s", b, "t"));
  EXPECT_EQ(world_.Find(s, ".."), b);
  EXPECT_EQ(world_.Stat(a).nlink, 2U);
  EXPECT_EQ(world_.Stat(b).nlink, 3U);
  const Ino empty = world_.MakeDirectory(a, "e");
  ASSERT_TRUE(Rename(b, "t", a, "e"));  // replaces an empty directory
  EXPECT_EQ(world_.Stat(a).nlink, 3U);
  EXPECT_EQ(world_.Stat(b).nlink, 2U);
  volume().Forget(empty, 1);
  EXPECT_EQ(CodeOf(volume().GetAttributes(empty)), ErrorCode::kNotFound);
  world_.Remount();
}

TEST_F(VolumeNames, ExchangeSwapsTwoNamesOfAnyKind) {
  const Ino a = world_.MakeDirectory(kRootIno, "a");
  const Ino b = world_.MakeDirectory(kRootIno, "b");
  const Ino d = world_.MakeDirectory(a, "d");
  const Ino f = world_.Create(b, "f");
  ASSERT_TRUE(Rename(a, "d", b, "f", RENAME_EXCHANGE));
  EXPECT_EQ(world_.Find(a, "d"), f);
  EXPECT_EQ(world_.Find(b, "f"), d);
  EXPECT_EQ(world_.Find(d, ".."), b);
  EXPECT_EQ(world_.Stat(a).nlink, 2U);
  EXPECT_EQ(world_.Stat(b).nlink, 3U);
  ASSERT_TRUE(Rename(kRootIno, "a", kRootIno, "b", RENAME_EXCHANGE));
  EXPECT_EQ(world_.Find(kRootIno, "a"), b);
  world_.Remount();
}

TEST_F(VolumeNames, ReaddirShowsEachNameOnceWhateverComesAndGoes) {
  const Ino dir = world_.MakeDirectory(kRootIno, "d");
  std::set<std::string> stay;
  for (int i = 0; i < 500; ++i) {
    stay.insert("stay" + std::to_string(i));
    world_.Create(dir, "stay" + std::to_string(i));
    volume().Forget(world_.Create(dir, "go" + std::to_string(i)), 1);
  }
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  int round = 0;
  for (;;) {  // in small pieces, names come and go in between
    int taken = 0;
    bool any = false;
    ASSERT_TRUE(
        volume().ReadDirectory(dir, cookie, false, [&](const DirEntry& entry, const Attributes*) {
          if (taken++ == 7) return false;
          any = true;
          seen.insert(std::string(entry.name));
          cookie = entry.cookie;
          return true;
        }));
    if (!any) break;
    if (round < 500) {
      EXPECT_TRUE(volume().Unlink(dir, "go" + std::to_string(round)));
      world_.Create(dir, "new" + std::to_string(round));
    }
    ++round;
  }
  for (const std::string& name : stay) EXPECT_EQ(seen.count(name), 1U) << name;
  EXPECT_EQ(seen.count("."), 1U);
  EXPECT_EQ(seen.count(".."), 1U);
  for (const std::string& name : seen) EXPECT_EQ(seen.count(name), 1U) << name;
}

TEST_F(VolumeNames, ReaddirWithAttributesCountsALookupForEachEntryTaken) {
  const Ino a = world_.Create(kRootIno, "a");
  const Ino b = world_.Create(kRootIno, "b");
  volume().Forget(a, 1);
  volume().Forget(b, 1);
  std::vector<Ino> taken;
  ASSERT_TRUE(volume().ReadDirectory(kRootIno, kDirKeyDotDot, true,
                                     [&](const DirEntry& entry, const Attributes* found) {
                                       if (!taken.empty()) return false;
                                       EXPECT_NE(found, nullptr);
                                       EXPECT_EQ(found->ino, entry.ino);
                                       taken.push_back(entry.ino);
                                       return true;
                                     }));
  ASSERT_EQ(taken.size(), 1U);
  const bool took_a = taken[0] == a;
  ASSERT_TRUE(volume().Unlink(kRootIno, "a"));
  ASSERT_TRUE(volume().Unlink(kRootIno, "b"));
  EXPECT_TRUE(volume().GetAttributes(took_a ? a : b)) << "still counted";
  EXPECT_EQ(CodeOf(volume().GetAttributes(took_a ? b : a)), ErrorCode::kNotFound);
  volume().Forget(taken[0], 1);
  EXPECT_EQ(CodeOf(volume().GetAttributes(taken[0])), ErrorCode::kNotFound);
}

TEST_F(VolumeNames, ASlotThatIsUsedAgainHasAnotherGeneration) {
  const auto first = volume().Create(kRootIno, "a", 0644, world_.caller);
  ASSERT_TRUE(volume().Unlink(kRootIno, "a"));
  volume().Forget(first->ino, 1);
  std::optional<Attributes> again;
  for (int i = 0; i < 50 && !again; ++i) {
    ASSERT_TRUE(volume().Tick());
    const auto made = volume().Create(kRootIno, "b" + std::to_string(i), 0644, world_.caller);
    if (made->ino == first->ino) again = *made;
  }
  ASSERT_TRUE(again.has_value());
  EXPECT_NE(again->generation, first->generation);
}

TEST_F(VolumeNames, AReadOnlyMountRefusesEveryChange) {
  const Ino file = world_.Create(kRootIno, "a");
  world_.Write(file, 0, "text");
  ASSERT_TRUE(volume().Unmount());
  world_.options().volume.read_only = true;
  ASSERT_TRUE(world_.TryMount());
  EXPECT_EQ(world_.Read(world_.Find(kRootIno, "a")), "text");
  EXPECT_EQ(CodeOf(volume().Create(kRootIno, "b", 0644, world_.caller)), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(volume().Unlink(kRootIno, "a")), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(Rename(kRootIno, "a", kRootIno, "b")), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(volume().Write(file, 0, {})), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(volume().SetAttributes(file, Mode(0))), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(volume().SetXattr(file, "user.x", "y", XattrMode::kAny)), ErrorCode::kReadOnly);
  EXPECT_EQ(CodeOf(volume().Allocate(file, AllocateMode::kAllocate, 0, 1)), ErrorCode::kReadOnly);
  EXPECT_TRUE(volume().Fsync(file, false));
  EXPECT_TRUE(volume().Unmount());
  EXPECT_EQ(world_.private_store().Get().clean, 1U);
}

TEST_F(VolumeNames, NumbersThatAreNoInodeAreNotFound) {
  for (const Ino ino : {Ino{0}, Ino{5000}, ~Ino{0}}) {
    EXPECT_EQ(CodeOf(volume().GetAttributes(ino)), ErrorCode::kNotFound);
    EXPECT_EQ(CodeOf(volume().Lookup(ino, "a")), ErrorCode::kNotFound);
    volume().Forget(ino, 3);
  }
}

}  // namespace
}  // namespace mirdax::test
