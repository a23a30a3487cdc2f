// SPDX-License-Identifier: BSD-2-Clause
// Journals: recovered as a mount, a mirror and fsck do it (fs/core/replay, fs/core/recovery).
//
// Steps: those of ImageEditor that are about the journal.
//
// Violations, besides crashes and hangs:
//  - recovery stores anything but home metadata and the private block (R4, R9)
//  - home is not what the records up to the first bad one make of it, applied by hand
//  - recovering again, or replaying again, changes anything
//  - the tail moves although recovery fails
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "fs/core/recovery.h"
#include "fs/core/replay.h"
#include "tests/fuzz/image_editor.h"
#include "tests/fuzz/sample_pool.h"
#include "tests/fuzz/target.h"
#include "tests/support/memory_pool.h"
#include "tools/dump/dump.h"
#include "tools/dump/render.h"

namespace mirdax::fuzz {
namespace {

const Grammar& Steps() {
  static const Grammar steps = [] {
    constexpr std::string_view kOthers[] = {"superblock", "inode", "node", "bits"};
    Grammar all = ImageEditor::Steps();
    std::erase_if(all, [&](const StepKind& kind) {
      return std::ranges::find(kOthers, kind.word) != std::end(kOthers);
    });
    return all;
  }();
  return steps;
}

bool IsPrivate(const PoolRange& range) {
  return range.offset >= kPrivateBlockOffset && range.end() <= kPrivateBlockOffset + 2 * kBlockSize;
}

// A recovered pool beside one on which the same records were applied by hand.
class Comparison {
 public:
  Comparison(GuardedView& recovered, GuardedView& by_hand, const Geometry& geometry)
      : recovered_(recovered), by_hand_(by_hand), geometry_(geometry) {}

  // Applies records from `tail` to the first bad one, or `commit`. False when there was a bad one.
  bool ApplyByHand(Lsn tail, Lsn commit) {
    for (Lsn lsn = tail; lsn != commit;) {
      const auto record = ReadRecord(by_hand_, geometry_, lsn, commit);
      if (!record) {
        Expect(!record.error().message.empty(), "a record is bad without a reason");
        return false;
      }
      std::span<const std::byte> bytes = record->bytes;
      for (const Patch& patch : record->patches) {
        Expect(geometry_.IsHomeRange(patch.offset, patch.length),
               "a patch of {} bytes at {} was accepted", patch.length, patch.offset);
        std::memcpy(by_hand_.memory().data() + patch.offset, bytes.data(), patch.length);
        Touch({patch.offset, patch.length});
        bytes = bytes.subspan(patch.length);
      }
      lsn += record->header.length;
    }
    return true;
  }

  void CheckStores() {
    for (const PoolRange& store : recovered_.stores()) {
      if (IsPrivate(store)) continue;
      Expect(geometry_.IsHomeRange(store.offset, store.length),
             "recovery stored {} bytes at {}, which is not home", store.length, store.offset);
      Touch(store);
    }
    recovered_.ForgetStores();
  }

  void CheckSame(std::string_view when) {
    for (const uint64_t block : touched_)
      Expect(std::memcmp(recovered_.memory().data() + block * kBlockSize,
                         by_hand_.memory().data() + block * kBlockSize, kBlockSize) == 0,
             "block {} differs from the records applied by hand, {}", block, when);
  }

 private:
  void Touch(const PoolRange& range) {
    for (uint64_t block = range.offset / kBlockSize; block * kBlockSize < range.end(); ++block)
      touched_.insert(block);
  }

  GuardedView& recovered_;
  GuardedView& by_hand_;
  const Geometry geometry_;
  std::set<uint64_t> touched_;
};

void DumpJournal(Region& region) {
  dump::Dumper dumper(region);
  for (const std::optional<Lsn> from : {std::optional<Lsn>(), std::optional<Lsn>(0)}) {
    if (const auto json = dumper.Journal(from)) {
      (void)dump::RenderText(*json);
      (void)dump::RenderJson(*json);
    }
  }
}

}  // namespace

const Grammar* InputGrammar() { return &Steps(); }

void RunInput(std::string_view input) {
  const Recipe recipe = ParseRecipe(input, Steps());
  const auto by_hand = SpoiltSample(recipe, Steps());
  DumpJournal(*by_hand);
  auto view = SpoiltSample(recipe, Steps());
  GuardedView& recovered = *view;
  const auto pool = test::MemoryPool::Open(std::move(view));
  if (!pool) return;
  const auto store = PrivateStore::Open(recovered);
  if (!store) return;
  const PrivateBlock before = (*store)->Get();
  const Geometry& geometry = (*pool)->geometry();
  const auto report = RecoverPool(**pool, **store, true);
  if (!report) Expect(!report.error().message.empty(), "recovery fails without a reason");
  if (before.state == CopyState::kBlank) {
    Expect(!report && recovered.stores().empty(), "a copy that was never filled was recovered");
    return;
  }

  Comparison comparison(recovered, *by_hand, geometry);
  comparison.CheckStores();
  const auto commit = ReadCommitWord(*by_hand, geometry, before.tail);
  const bool all = commit && comparison.ApplyByHand(before.tail, *commit);
  comparison.CheckSame("after recovery");
  if (!report) {
    Expect((*store)->Get().tail == before.tail, "recovery failed, and moved the tail");
    Expect(!all, "recovery failed although every record is good: {}", report.error().message);
    return;
  }
  Expect(all, "recovery succeeded although a record is bad");
  Expect((*store)->Get().tail == *commit, "recovery succeeded, and left the tail");
  const auto again = RecoverPool(**pool, **store, true);
  Expect(again && again->bytes == 0, "a second recovery finds something to do");
  Expect(ReplayJournal(recovered, geometry, before.tail, *commit).has_value(),
         "a second replay of the same records fails");
  comparison.CheckStores();
  comparison.CheckSame("after a second replay");
}

}  // namespace mirdax::fuzz
