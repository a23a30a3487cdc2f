// SPDX-License-Identifier: BSD-2-Clause
// Pool images: opened, recovered, mounted, read, changed, unmounted, checked and dumped (R9).
//
// Steps: those of ImageEditor, and
//   read_only     the mount is read-only
//
// Violations, besides crashes, hangs and stores outside the pool:
//  - a directory that cannot be read to its end
//  - a pool that fsck calls clean and that cannot be mounted, or is not clean after a mount that
//    changed it and was unmounted: either fsck or the engine is wrong
#include "fs/core/recovery.h"
#include "fs/core/volume.h"
#include "tests/fuzz/image_editor.h"
#include "tests/fuzz/sample_pool.h"
#include "tests/fuzz/target.h"
#include "tests/support/memory_pool.h"
#include "tests/support/pool_walk.h"
#include "tools/dump/dump.h"
#include "tools/dump/render.h"
#include "tools/fsck/check.h"
#include "tools/fsck/render.h"

#include <nlohmann/json.hpp>

namespace mirdax::fuzz {
namespace {

constexpr size_t kNamesToSpoil = 16;
constexpr Ino kInodesToDump = 16;
constexpr size_t kDumpLimit = 300;

// The same for every run of an input.
class StillClock final : public Clock {
 public:
  Timestamp Now() override { return {1'700'000'000, 0}; }
  uint64_t MonotonicNanoseconds() override { return now_ += 1000; }

 private:
  uint64_t now_ = 0;
};

const Grammar& Steps() {
  static const Grammar steps = [] {
    Grammar all = ImageEditor::Steps();
    all.push_back({"read_only", {}});
    return all;
  }();
  return steps;
}

void Dump(Region& region) {
  dump::Dumper dumper(region);
  const auto render = [](const dump::Json& json) {
    (void)dump::RenderText(json);
    (void)dump::RenderJson(json);
  };
  const auto render_result = [&](const Result<dump::Json>& json) {
    if (json)
      render(*json);
    else
      Expect(!json.error().message.empty(), "dump fails without a reason");
  };
  render(dumper.Superblocks());
  render(dumper.PrivateBlocks());
  render_result(dumper.Journal(std::nullopt));
  render_result(dumper.Free(true));
  for (Ino ino = 1; ino < kInodesToDump; ++ino) {
    render_result(dumper.Inode(ino, kDumpLimit));
    render_result(dumper.Directory(ino, kDumpLimit));
  }
  (void)dumper.FindPath("/dir/inner/hard");
  (void)dumper.ForEachInode([](Ino) {});
  (void)dumper.Replay();
}

bool FsckSaysClean(Region& region) {
  const auto report = fsck::CheckPool(region);
  if (!report) {
    Expect(!report.error().message.empty(), "fsck fails without a reason");
    return false;
  }
  (void)fsck::RenderText(*report, "pool", true);
  (void)fsck::RenderJson(*report, "pool");
  return report->clean() && report->contents_checked;
}

// Mounts, reads, changes, unmounts. Fails where a mount would.
Result<std::unique_ptr<test::MemoryPool>> Use(std::unique_ptr<Region> region, bool read_only) {
  MIRDAX_ASSIGN(auto pool, test::MemoryPool::Open(std::move(region)));
  MIRDAX_ASSIGN(const auto store, PrivateStore::Open(pool->region()));
  MIRDAX_TRY(RecoverPool(*pool, *store));
  NoReplication sink;
  StillClock clock;
  SeededRandom random(1);
  VolumeOptions options;
  options.background = false;
  options.read_only = read_only;
  MIRDAX_ASSIGN(const auto volume, Volume::Mount(*pool, *store, sink, clock, random, options));
  test::PoolWalk walk(*volume);
  walk.Run();
  for (const std::string& what : walk.violations()) Violated(what);
  walk.Spoil(kNamesToSpoil);
  MIRDAX_TRY(volume->Tick());
  MIRDAX_TRY(volume->Unmount());
  return pool;
}

// The pool as a primary that a mount takes; others it refuses for good reasons.
bool MountablePrimary(Region& region) {
  const auto store = PrivateStore::Open(region);
  if (!store) return false;
  const PrivateBlock block = (*store)->Get();
  return block.role == Role::kPrimary && block.state == CopyState::kConsistent;
}

}  // namespace

const Grammar* InputGrammar() { return &Steps(); }

void RunInput(std::string_view input) {
  const Recipe recipe = ParseRecipe(input, Steps());
  bool read_only = false;
  for (const Step& step : recipe) read_only = read_only || Steps()[step.kind].word == "read_only";

  Dump(*SpoiltSample(recipe, Steps()));
  const auto checked = SpoiltSample(recipe, Steps());
  const bool clean = FsckSaysClean(*checked) && MountablePrimary(*checked);
  auto used = Use(SpoiltSample(recipe, Steps()), read_only);
  if (!used) {
    Expect(!clean, "fsck says clean, but the mount says: {}", used.error().message);
    return;
  }
  if (!clean) {
    (void)FsckSaysClean((*used)->region());
    return;
  }
  const auto after = fsck::CheckPool((*used)->region());
  Expect(after && after->clean(), "clean before a mount, and after it:\n{}",
         after ? fsck::RenderText(*after, "pool", true) : after.error().message);
}

}  // namespace mirdax::fuzz
