// SPDX-License-Identifier: BSD-2-Clause
// Random operations against a model: after each sync and power cut, and each unmount, the volume
// holds what the model says, fsck finds nothing, and in the end no block is lost.
#include <linux/fs.h>

#include <set>

#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

struct Node {
  bool directory = false;
  bool symlink = false;
  std::string content;  // of files, and the target of symlinks
  std::map<std::string, std::shared_ptr<Node>> children;
  uint32_t links = 1;
  uint64_t changed = 0;  // number of the last operation that changed it
};
using NodePtr = std::shared_ptr<Node>;

class Model {
 public:
  Model(World& world, uint64_t seed) : world_(world), random_(seed) { root_->directory = true; }

  void Step() {
    ++step_;
    const auto [dir, dir_ino] = PickDirectory();
    const std::string name = Name();
    const NodePtr node = Child(dir, name);
    switch (random_() % 16) {
      case 0:
      case 1:
        return Create(dir, dir_ino, name, node);
      case 2:
        return MakeDirectory(dir, dir_ino, name, node);
      case 3:
        return MakeSymlink(dir, dir_ino, name, node);
      case 4:
        return Unlink(dir, dir_ino, name, node);
      case 5:
        return RemoveDirectory(dir, dir_ino, name, node);
      case 6:
        return Link(dir, dir_ino, name, node);
      case 7:
      case 8:
        return Rename(dir, dir_ino, name, node);
      default:
        if (node && !node->directory && !node->symlink) ChangeFile(dir_ino, name, *node);
    }
  }

  // Everything, or only what was not changed after operation `since`.
  void Compare(uint64_t since = ~uint64_t{0}) { CompareDirectory(kRootIno, *root_, since); }
  uint64_t step() const { return step_; }

  // Removes every file and directory that the volume (not the model) has.
  void RemoveAll() {
    RemoveBelow(kRootIno);
    root_->children.clear();
  }
  NodePtr root() { return root_; }

 private:
  Volume& volume() { return world_.volume(); }
  std::string Name() { return "n" + std::to_string(random_() % 9); }
  static NodePtr Child(const NodePtr& dir, const std::string& name) {
    const auto it = dir->children.find(name);
    return it == dir->children.end() ? nullptr : it->second;
  }
  std::pair<NodePtr, Ino> PickDirectory() {
    NodePtr dir = root_;
    Ino ino = kRootIno;
    for (uint64_t depth = random_() % 4; depth > 0; --depth) {
      std::vector<std::string> names;
      for (const auto& [name, node] : dir->children) {
        if (node->directory) names.push_back(name);
      }
      if (names.empty()) break;
      const std::string& name = names[random_() % names.size()];
      ino = world_.Find(ino, name);
      EXPECT_NE(ino, 0U);
      dir = dir->children[name];
    }
    return {dir, ino};
  }
  void Expect(ErrorCode got, ErrorCode wanted) {
    ASSERT_EQ(ErrorCodeName(got), ErrorCodeName(wanted)) << "operation " << step_;
  }
  void Added(const NodePtr& dir, const std::string& name, NodePtr node) {
    node->changed = dir->changed = step_;
    dir->children[name] = std::move(node);
  }

  void Create(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const auto made = volume().Create(ino, name, 0644, world_.caller);
    Expect(CodeOf(made), node ? ErrorCode::kExists : kOk);
    if (!made) return;
    volume().Forget(made->ino, 1);
    Added(dir, name, std::make_shared<Node>());
  }
  void MakeDirectory(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const auto made = volume().MakeDirectory(ino, name, 0755, world_.caller);
    Expect(CodeOf(made), node ? ErrorCode::kExists : kOk);
    if (!made) return;
    volume().Forget(made->ino, 1);
    auto fresh = std::make_shared<Node>();
    fresh->directory = true;
    Added(dir, name, fresh);
  }
  void MakeSymlink(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const std::string target(1 + random_() % 300, 't');
    const auto made = volume().MakeSymlink(ino, name, target, world_.caller);
    Expect(CodeOf(made), node ? ErrorCode::kExists : kOk);
    if (!made) return;
    volume().Forget(made->ino, 1);
    auto fresh = std::make_shared<Node>();
    fresh->symlink = true;
    fresh->content = target;
    Added(dir, name, fresh);
  }
  void Removed(const NodePtr& dir, const std::string& name) {
    const NodePtr node = dir->children[name];
    --node->links;
    node->changed = dir->changed = step_;
    dir->children.erase(name);
  }
  void Unlink(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const Status done = volume().Unlink(ino, name);
    Expect(CodeOf(done), !node             ? ErrorCode::kNotFound
                         : node->directory ? ErrorCode::kIsDirectory
                                           : kOk);
    if (done) Removed(dir, name);
  }
  void RemoveDirectory(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const Status done = volume().RemoveDirectory(ino, name);
    Expect(CodeOf(done), !node                     ? ErrorCode::kNotFound
                         : !node->directory        ? ErrorCode::kNotDirectory
                         : !node->children.empty() ? ErrorCode::kNotEmpty
                                                   : kOk);
    if (done) Removed(dir, name);
  }
  void Link(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    if (!node) return;
    const auto [to, to_ino] = PickDirectory();
    const std::string new_name = Name();
    const auto linked = volume().Link(world_.Find(ino, name), to_ino, new_name);
    const NodePtr taken = Child(to, new_name);
    Expect(CodeOf(linked), node->directory ? ErrorCode::kPermission
                           : taken         ? ErrorCode::kExists
                                           : kOk);
    (void)dir;
    if (!linked) return;
    volume().Forget(linked->ino, 1);
    ++node->links;
    Added(to, new_name, node);
  }
  static bool Holds(const Node& above, const Node* node) {
    if (&above == node) return true;
    for (const auto& [name, child] : above.children) {
      if (Holds(*child, node)) return true;
    }
    return false;
  }
  void Rename(const NodePtr& dir, Ino ino, const std::string& name, const NodePtr& node) {
    const auto [to, to_ino] = PickDirectory();
    const std::string new_name = Name();
    const NodePtr target = Child(to, new_name);
    constexpr std::array<uint32_t, 4> kFlags{0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    const uint32_t flags = kFlags[random_() % kFlags.size()];
    const bool exchange = flags == RENAME_EXCHANGE;
    ErrorCode wanted = kOk;
    if (!node || (exchange && !target)) {
      wanted = ErrorCode::kNotFound;
    } else if (target && flags == RENAME_NOREPLACE) {
      wanted = ErrorCode::kExists;
    } else if (node->directory && Holds(*node, to.get())) {
      wanted = ErrorCode::kInvalid;
    } else if (target && target->directory && Holds(*target, dir.get())) {
      wanted = exchange ? ErrorCode::kInvalid : ErrorCode::kNotEmpty;
    } else if (target && target != node && !exchange) {
      if (node->directory && !target->directory) wanted = ErrorCode::kNotDirectory;
      if (!node->directory && target->directory) wanted = ErrorCode::kIsDirectory;
      if (node->directory && target->directory && !target->children.empty()) {
        wanted = ErrorCode::kNotEmpty;
      }
    }
    const Status done = volume().Rename(ino, name, to_ino, new_name, flags);
    Expect(CodeOf(done), wanted);
    if (!done || target == node) return;
    node->changed = dir->changed = to->changed = step_;
    if (target) target->changed = step_;
    if (exchange) {
      std::swap(dir->children[name], to->children[new_name]);
      return;
    }
    if (target) --target->links;
    dir->children.erase(name);
    to->children[new_name] = node;
  }

  std::string Text(uint64_t length) {
    std::string text(length, '\0');
    const char first = static_cast<char>('a' + random_() % 26);
    for (uint64_t i = 0; i < length; ++i)
      text[i] = static_cast<char>(first + static_cast<char>(i % 4));
    return text;
  }
  static void Zero(std::string& content, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < std::min<uint64_t>(to, content.size()); ++i) content[i] = '\0';
  }
  void ChangeFile(Ino dir_ino, const std::string& name, Node& node) {
    const Ino ino = world_.Find(dir_ino, name);
    const uint64_t offset = random_() % 60000;
    const uint64_t length = 1 + random_() % 20000;
    node.changed = step_;
    switch (random_() % 9) {
      case 0: {
        const uint64_t size = random_() % 3 == 0 ? 0 : offset;
        ASSERT_TRUE(world_.Truncate(ino, size));
        node.content.resize(size);
        break;
      }
      case 1:
        ASSERT_TRUE(volume().Allocate(ino, AllocateMode::kPunchHole, offset, length));
        Zero(node.content, offset, offset + length);
        break;
      case 2:
        ASSERT_TRUE(volume().Allocate(ino, AllocateMode::kZeroRange, offset, length));
        if (node.content.size() < offset + length) node.content.resize(offset + length);
        Zero(node.content, offset, offset + length);
        break;
      case 3:
        ASSERT_TRUE(volume().Allocate(ino, AllocateMode::kAllocateKeepSize, offset, length));
        break;
      case 4:
        ASSERT_TRUE(volume().Fsync(ino, random_() % 2 == 0));
        break;
      default: {
        const std::string text = Text(length);
        ASSERT_EQ(world_.Write(ino, offset, text), length);
        if (node.content.size() < offset + length) node.content.resize(offset + length);
        node.content.replace(offset, length, text);
      }
    }
    ASSERT_EQ(world_.Stat(ino).size, node.content.size());
    if (random_() % 4 == 0) {
      ASSERT_TRUE(world_.Read(ino) == node.content) << "operation " << step_;
    }
  }

  void CompareDirectory(Ino ino, const Node& dir, uint64_t since) {
    if (dir.changed > since) return;
    std::set<std::string> names;
    for (const std::string& name : world_.List(ino)) names.insert(name);
    ASSERT_EQ(names.size(), dir.children.size() + 2);
    for (const auto& [name, node] : dir.children) {
      if (node->changed > since && !node->directory) continue;
      const Ino child = world_.Find(ino, name);
      ASSERT_NE(child, 0U) << name;
      if (node->directory) {
        CompareDirectory(child, *node, since);
      } else if (node->symlink) {
        ASSERT_EQ(*volume().ReadLink(child), node->content);
      } else {
        const Attributes found = world_.Stat(child);
        ASSERT_EQ(found.nlink, node->links) << name;
        ASSERT_EQ(found.size, node->content.size()) << name;
        ASSERT_TRUE(world_.Read(child) == node->content) << name;
      }
    }
  }
  void RemoveBelow(Ino dir) {
    for (const std::string& name : world_.List(dir)) {
      if (name == "." || name == "..") continue;
      const Ino child = world_.Find(dir, name);
      if ((world_.Stat(child).mode & 0170000) == 0040000) {
        RemoveBelow(child);
        ASSERT_TRUE(volume().RemoveDirectory(dir, name));
      } else {
        ASSERT_TRUE(volume().Unlink(dir, name));
      }
    }
  }

  World& world_;
  std::mt19937_64 random_;
  NodePtr root_ = std::make_shared<Node>();
  uint64_t step_ = 0;
};

class VolumeModel : public testing::TestWithParam<uint64_t> {};

TEST_P(VolumeModel, HoldsWhatTheModelSaysAcrossRemountsAndPowerCuts) {
  World world(World::Options{.pool_size = uint64_t{48} << 20, .inode_count = std::nullopt});
  const SpaceReport empty = *world.volume().Space();
  Model model(world, GetParam());
  std::mt19937_64 random(GetParam() + 1000);
  for (int round = 0; round < 12; ++round) {
    for (uint64_t i = random() % 300; i > 0; --i) {
      model.Step();
      if (testing::Test::HasFatalFailure()) return;
      if (random() % 40 == 0) {
        ASSERT_TRUE(world.volume().Tick());
      }
    }
    model.Compare();
    if (testing::Test::HasFatalFailure()) return;
    switch (random() % 3) {
      case 0:
        world.Remount();
        break;
      default:
        ASSERT_TRUE(world.volume().SyncAll());
        world.Crash(random() % 2 == 0 ? 0 : random());
        break;
    }
    model.Compare();
    if (testing::Test::HasFailure()) return;
  }
  model.RemoveAll();
  world.Remount();
  EXPECT_EQ(world.volume().Space()->blocks_free, empty.blocks_free);
  EXPECT_EQ(world.volume().Space()->inodes_free, empty.inodes_free);
}

TEST_P(VolumeModel, APowerCutAtAnyMomentKeepsWhatWasSyncedAndNotChangedSince) {
  World world(World::Options{.pool_size = uint64_t{48} << 20, .inode_count = std::nullopt});
  const SpaceReport empty = *world.volume().Space();
  std::mt19937_64 random(GetParam() + 2000);
  for (uint64_t round = 0; round < 5; ++round) {
    Model model(world, GetParam() * 100 + round);
    for (uint64_t i = random() % 200; i > 0; --i) model.Step();
    ASSERT_TRUE(world.volume().SyncAll());
    const uint64_t synced = model.step();
    for (uint64_t i = random() % 60; i > 0; --i) {
      model.Step();
      if (random() % 30 == 0) {
        ASSERT_TRUE(world.volume().Tick());
      }
    }
    if (testing::Test::HasFatalFailure()) return;
    world.Crash(random());
    model.Compare(synced);
    if (testing::Test::HasFailure()) return;
    model.RemoveAll();
    world.Remount();
    ASSERT_EQ(world.volume().Space()->blocks_free, empty.blocks_free);
    ASSERT_EQ(world.volume().Space()->inodes_free, empty.inodes_free);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, VolumeModel, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace mirdax::test
