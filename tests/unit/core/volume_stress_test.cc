// SPDX-License-Identifier: BSD-2-Clause
// Many threads on one volume, on memory whose stores take no lock (so that a thread sanitizer sees
// what the engine itself orders).
#include <linux/fs.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

class VolumeStress : public testing::Test {
 protected:
  VolumeStress() { Mount(); }
  void Mount() {
    store_ = std::move(*PrivateStore::Open(pool_->region()));
    VolumeOptions options;
    options.commit_interval = std::chrono::milliseconds(5);
    auto mounted = Volume::Mount(*pool_, *store_, sink_, clock_, random_, options);
    MIRDAX_CHECK(mounted.has_value());
    volume_ = std::move(*mounted);
  }
  void RunThreads(const std::function<void(std::mt19937_64&)>& step) {
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&step, t] {
        std::mt19937_64 random(t + 1);
        for (int i = 0; i < 1500; ++i) step(random);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  void Check() {
    volume_.reset();
    store_.reset();
    const auto report = fsck::CheckPool(pool_->region());
    ASSERT_TRUE(report.has_value());
    for (const auto& finding : report->findings.kept()) ADD_FAILURE() << finding.text;
  }

  std::unique_ptr<MemoryPool> pool_ = MemoryPool::Create(uint64_t{64} << 20);
  std::unique_ptr<PrivateStore> store_;
  NoReplication sink_;
  SystemClock clock_;
  SeededRandom random_{1};
  Caller caller_{0, 0, 022};
  std::unique_ptr<Volume> volume_;
};

TEST_F(VolumeStress, NamesOfAFewDirectoriesInManyHands) {
  std::vector<Ino> dirs{kRootIno};
  for (int i = 0; i < 3; ++i) {
    dirs.push_back(
        volume_->MakeDirectory(dirs.back(), "d" + std::to_string(i), 0755, caller_)->ino);
  }
  const auto acceptable = [](ErrorCode code) {
    return code == kOk || code == ErrorCode::kNotFound || code == ErrorCode::kExists ||
           code == ErrorCode::kIsDirectory || code == ErrorCode::kNotDirectory ||
           code == ErrorCode::kNotEmpty || code == ErrorCode::kInvalid ||
           code == ErrorCode::kPermission;
  };
  RunThreads([&](std::mt19937_64& random) {
    const Ino dir = dirs[random() % dirs.size()];
    const Ino other = dirs[random() % dirs.size()];
    const std::string name = "n" + std::to_string(random() % 6);
    const std::string new_name = "n" + std::to_string(random() % 6);
    const auto forget = [&](const Result<Attributes>& made) {
      if (made) volume_->Forget(made->ino, 1);
      EXPECT_TRUE(acceptable(CodeOf(made))) << ErrorCodeName(CodeOf(made));
    };
    const auto expect = [&](const Status& status) {
      EXPECT_TRUE(acceptable(CodeOf(status))) << ErrorCodeName(CodeOf(status));
    };
    switch (random() % 10) {
      case 0:
        return forget(volume_->Create(dir, name, 0644, caller_));
      case 1:
        return forget(volume_->MakeDirectory(dir, name, 0755, caller_));
      case 2:
        return expect(volume_->Unlink(dir, name));
      case 3:
        return expect(volume_->RemoveDirectory(dir, name));
      case 4:
        return expect(volume_->Rename(dir, name, other, new_name, 0));
      case 5:
        return expect(volume_->Rename(dir, name, other, new_name, RENAME_EXCHANGE));
      case 6: {
        const auto found = volume_->Lookup(dir, name);
        if (found) forget(volume_->Link(found->ino, other, new_name));
        return forget(found);
      }
      case 7:
        return expect(volume_->ReadDirectory(dir, 0, true,
                                             [&](const DirEntry& entry, const Attributes* found) {
                                               if (found != nullptr) volume_->Forget(entry.ino, 1);
                                               return true;
                                             }));
      case 8:
        return expect(volume_->FsyncDirectory(dir));
      default: {
        const auto found = volume_->Lookup(dir, name);
        if (found) (void)volume_->SetXattr(found->ino, "user.x", name, XattrMode::kAny);
        return forget(found);
      }
    }
  });
  ASSERT_TRUE(volume_->Unmount());
  Check();
}

// X and its sibling Y, Y and its child Z, Z and X: three calls that each want two of them.
TEST_F(VolumeStress, RenamesOfSiblingsInOppositeDirectionsDoNotWaitForEachOther) {
  const auto make = [&](Ino parent, const char* name) {
    return volume_->MakeDirectory(parent, name, 0755, caller_)->ino;
  };
  const Ino z = make(kRootIno, "z");  // numbers decide in which order some are locked: z, x, y
  const Ino x = make(kRootIno, "x");
  const Ino y = make(kRootIno, "y");
  ASSERT_TRUE(z < x && x < y);
  ASSERT_TRUE(volume_->Rename(kRootIno, "z", y, "z", 0));
  ASSERT_TRUE(volume_->Create(z, "stays", 0644, caller_));  // so that z cannot be removed
  ASSERT_TRUE(volume_->Create(z, "moves", 0644, caller_));
  const std::array<std::function<void()>, 4> calls = {
      [&] { EXPECT_TRUE(volume_->Rename(kRootIno, "x", kRootIno, "y", RENAME_EXCHANGE)); },
      [&] { EXPECT_TRUE(volume_->Rename(kRootIno, "y", kRootIno, "x", RENAME_EXCHANGE)); },
      [&] { EXPECT_EQ(CodeOf(volume_->RemoveDirectory(y, "z")), ErrorCode::kNotEmpty); },
      [&] {
        EXPECT_TRUE(volume_->Rename(z, "moves", x, "moves", 0));
        EXPECT_TRUE(volume_->Rename(x, "moves", z, "moves", 0));
      }};
  std::atomic<size_t> running = calls.size();
  std::vector<std::thread> threads;
  for (const auto& call : calls) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3000; ++i) call();
      --running;
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (running > 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      fprintf(stderr, "%zu threads wait for each other\n", running.load());
      std::abort();  // they cannot be joined
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(volume_->Unmount());
  Check();
}

TEST_F(VolumeStress, OneFileInManyHands) {
  std::vector<Ino> files;
  for (int i = 0; i < 2; ++i) {
    files.push_back(volume_->Create(kRootIno, "f" + std::to_string(i), 0644, caller_)->ino);
  }
  // Bytes of one write are one letter, so a reader must never see any other byte.
  RunThreads([&](std::mt19937_64& random) {
    const Ino file = files[random() % files.size()];
    const uint64_t offset = random() % 100000;
    const std::string text(1 + random() % 10000, static_cast<char>('a' + random() % 26));
    switch (random() % 8) {
      case 0:
        EXPECT_TRUE(volume_->Fsync(file, random() % 2 == 0));
        return;
      case 1: {
        AttributeChange change;
        change.size = offset;
        EXPECT_TRUE(volume_->SetAttributes(file, change));
        return;
      }
      case 2:
        EXPECT_TRUE(volume_->Allocate(file, AllocateMode::kPunchHole, offset, text.size()));
        return;
      case 3:
        EXPECT_TRUE(volume_->Allocate(file, AllocateMode::kZeroRange, offset, text.size()));
        return;
      case 4:
        EXPECT_TRUE(volume_->CopyRange(files[0], offset, files[1], offset / 2, text.size()));
        return;
      case 5:
        EXPECT_TRUE(volume_->Read(file, offset, 20000, [](auto spans) {
          for (const auto& span : spans) {
            for (const std::byte byte : span) {
              const auto letter = static_cast<unsigned char>(byte);
              if (letter != 0 && (letter < 'a' || letter > 'z')) {
                ADD_FAILURE() << "a foreign byte";
                return;
              }
            }
          }
        }));
        return;
      default:
        EXPECT_TRUE(volume_->Write(file, offset, std::as_bytes(std::span(text))));
    }
  });
  ASSERT_TRUE(volume_->Unmount());
  Check();
}

}  // namespace
}  // namespace mirdax::test
