// SPDX-License-Identifier: BSD-2-Clause
// Defects made on purpose, one at a time, to show that the tests of crash states see them. Only a
// build with MIRDAX_MUTANTS (the sanitizer preset) has them; elsewhere Mutated() is false before
// the compiler looks at it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mirdax {

// X(Name, "rule", "what is broken")
#define MIRDAX_MUTANT_LIST(X)                                                                   \
  X(RecordNotDrained, "R1", "data and record are not drained before the commit word is stored") \
  X(CommitWordFirst, "R1", "the commit word is durable before data and record are")             \
  X(CommitWordNotFlushed, "R1", "a commit is acknowledged before its commit word is durable")   \
  X(HomeBeforeCommit, "R1", "home is stored to before the commit word is durable")              \
  X(HomeNotFlushed, "R2", "the tail moves on though home lines were not flushed")               \
  X(HomeLastLineForgotten, "R2", "the last line of each patch is not remembered for its flush") \
  X(HomeNotDrained, "R2", "the tail moves on though flushed home lines were not drained")       \
  X(TailBeforeHome, "R2", "the tail is durable before home is")                                 \
  X(TailNotStored, "R2", "journal space is reused below a tail that was not made durable")      \
  X(JournalWrapNotFlushed, "R1", "the part of a record behind the wrap is not flushed")         \
  X(PrivateBlockInPlace, "R5", "the private block is updated in one place instead of two")      \
  X(PrivateBlockNotFlushed, "R5", "an update of the private block is not flushed")              \
  X(ReplayTailFirst, "R3", "recovery moves the tail before it has replayed")                    \
  X(ReplayNotFlushed, "R3", "recovery moves the tail though home was not flushed")              \
  X(ReplayLastRecordLost, "R3", "recovery leaves out the last committed record")                \
  X(ReplayPastCommit, "R3", "recovery applies what lies behind the commit word")                \
  X(ReuseAtOnce, "R2", "freed blocks are reusable at once")                                     \
  X(ReuseAtCommit, "R2", "freed blocks are reusable when their record is committed")            \
  X(DirtyForgotten, "R1", "an overwrite in place is left out of the sync")                      \
  X(SizeAtWrite, "R1", "a size is committed before the blocks it covers")                       \
  X(SyncWithoutNames, "R5", "a sync does not commit what other operations changed")             \
  X(SyncOfCleanFile, "R5", "a sync of a clean file does nothing")                               \
  X(FdatasyncWithoutSize, "R5", "fdatasync leaves a grown size to the next sync")               \
  X(FreshBlockNotZeroed, "R1", "the rest of a new block keeps its old owner's bytes")           \
  X(UnwrittenAsWritten, "R1", "preallocated blocks show their old owner's bytes")               \
  X(ZeroBeyondEndSkipped, "R1", "growing a file shows what lay behind its end")                 \
  X(ShrinkInPlace, "R1", "a truncation keeps the last block that the longer file still has")    \
  X(UnlinkWithoutOrphan, "R1", "a file unlinked while open is not on the orphan list")          \
  X(OrphansNotFreed, "R1", "mounting does not free orphans")                                    \
  X(BitmapNotStored, "R1", "blocks are mapped without being marked used")                       \
  X(PunchKeepsBlocks, "R5", "a punched range reads as zeros, and keeps its blocks")             \
  X(PreallocationForgotten, "R5", "what is preallocated is found free, and not mapped")         \
  X(PreallocationCutShort, "R5", "the block that a preallocation ends in is left out")          \
  X(TruncationKeepsBlocks, "R5", "a truncation keeps what was preallocated behind the old end") \
  X(ZeroFreesBlocks, "R5", "a zeroed range loses its blocks")                                   \
  X(ReplayTailNotStored, "R3", "recovery does not move the tail, and replays all of it again")

// Those that only clients at work at once show.
#define MIRDAX_CLIENT_MUTANT_LIST(X)                                                        \
  X(WaiterNotInBatch, "R5", "a commit answers all who waited for it, whatever it held")     \
  X(CommitUnderWay, "R5", "a sync returns because another's commit is under way")           \
  X(CloseAmidOperation, "R1", "a commit does not wait for operations in the middle")        \
  X(OverlayForgetsNewer, "R3", "what changed a block during a commit is lost when it ends") \
  X(FoundNotHeld, "R2", "a free run is found in one step and taken in another")             \
  X(QuarantineEndsEarly, "R2", "freed blocks are reusable when the commit before is stable")

// Those that show only when something fails: rules F1..F6 of tests/crash/fault_run.h.
#define MIRDAX_FAULT_MUTANT_LIST(X)                                                       \
  X(DrainErrorIgnored, "F3", "a drain that failed counts as one that succeeded")          \
  X(FailedCommitForgotten, "F4", "the sync after one that failed succeeds")               \
  X(HolesLeaked, "F4", "blocks reserved by a write that cannot have all stay reserved")   \
  X(InodeLeaked, "F4", "the inode of a name that could not be made stays taken")          \
  X(OrphanForgotten, "F4", "an inode that could not be freed is not tried again")         \
  X(SyncSaysNoMemory, "F1", "fsync fails with ENOMEM")                                    \
  X(NoMemorySetAside, "F1", "memory is not set aside before an operation begins")         \
  X(PoisonShown, "F6", "zeros in place of refused file data are shown")                   \
  X(PoisonedStore, "F6", "a store that the medium refused counts as one that it took")    \
  X(PoisonCommitted, "F6", "what was read in place of refused metadata is committed")     \
  X(FailedFillFinal, "F5", "a mirror whose fill failed is not tried again")               \
  X(LostMessageDurable, "F5", "a mirror without memory for a message says it is durable") \
  X(LostApplyCounts, "F5", "a mirror's apply that found no memory counts as done")

// Those of replication, which show in crash images of sets: X(Name, "rule", the scenario of
// tests/crash/set_recording.h that is most likely to show it, "what is broken").
#define MIRDAX_MIRROR_MUTANT_LIST(X)                                                               \
  X(PushLosesRange, "R1", kSteady, "the last data range of a batch is not pushed")                 \
  X(PushLosesWrap, "R1", kSteady, "the part of a record behind the wrap is not pushed")            \
  X(PushJournalFirst, "R1", kSteady, "records are pushed and published before their data")         \
  X(MirrorWordFirst, "R1", kSteady, "a mirror publishes before data and record are durable")       \
  X(MirrorRangesNotFlushed, "R1", kSteady, "a mirror does not flush what was written one-sidedly") \
  X(MirrorWordNotFlushed, "R5", kSteady, "a mirror answers before its commit word is durable")     \
  X(MirrorDataNotDrained, "R5", kSteady, "a mirror answers before data alone is durable")          \
  X(AnswersNotAwaited, "R5", kSteady, "a sync is acknowledged before the mirrors have answered")   \
  X(FirstAnswerCounts, "R5", kLost, "a sync is acknowledged when the first mirror has answered")   \
  X(ListNotChanged, "R5", kLost, "a sync is acknowledged before a lost mirror has left the list")  \
  X(SurvivorsNotTold, "R5", kLost, "the list changes without the mirrors that stay being told")    \
  X(MirrorEpochNotStored, "R6", kLost, "a mirror confirms an epoch that it has not made durable")  \
  X(OldPrimaryLetIn, "R6", kFenced, "a mirror attaches a primary of an epoch that is over")        \
  X(PromoteBeforeEpoch, "R6", kSteady, "a promoted copy is a primary before its epoch is durable") \
  X(MirrorAppliesAhead, "R3", kSteady, "a mirror applies records above its commit word")           \
  X(MirrorTailFirst, "R3", kSteady, "a mirror's tail is durable before its home is")               \
  X(MirrorTailNotStored, "R2", kLazy, "a mirror reports a tail that it has not made durable")      \
  X(MirrorTailIsCommit, "R2", kLazy, "a mirror reports as applied what it has only committed")     \
  X(RingOverMirrorTail, "R2", kLazy, "journal space is reused that a mirror has not applied")      \
  X(ReuseOverMirrorTail, "R2", kLazy, "freed blocks are reusable before a mirror has applied it")  \
  X(FillNotAnnounced, "R7", kBack, "a mirror does not say durably that it is being filled")        \
  X(FillEndsFirst, "R7", kBack, "a mirror calls itself consistent before its fill is durable")     \
  X(FillNotAwaited, "R7", kBack, "a fill ends before the mirror has stored all of it")             \
  X(FillPromotable, "R7", kBack, "a copy that is being filled can be promoted")                    \
  X(FillLosesRun, "R8", kBack, "the last blocks in use are left out of a fill")                    \
  X(FillWordNotFlushed, "R7", kBack, "a fill begins before its commit word is durable")            \
  X(FillMissesBatches, "R7", kReturns, "a mirror that is being filled gets no batches")            \
  X(FillNotWaitedFor, "R2", kReturns, "journal and blocks are reused that a fill still needs")     \
  X(MetadataPushed, "R4", kSteady, "metadata blocks are pushed as data")                           \
  X(HomePushTaken, "R4", kSteady, "a mirror takes, to its home, what a commit is about to change") \
  X(JournalPushedAhead, "R4", kSteady, "journal bytes behind the batch are pushed with it")        \
  X(EpochToldFirst, "R6", kLost, "mirrors are told an epoch that their primary has not stored")    \
  X(MissingStaysListed, "R5", kSteady, "a mount without a mirror leaves it on the in-sync list")   \
  X(UncleanTrusted, "R8", kSteady, "a mirror counts as equal after its primary lost power")

enum class Mutant : uint8_t {
  kNone,
#define MIRDAX_MUTANT_ENUM(name, ...) k##name,
  MIRDAX_MUTANT_LIST(MIRDAX_MUTANT_ENUM) MIRDAX_CLIENT_MUTANT_LIST(MIRDAX_MUTANT_ENUM)
      MIRDAX_FAULT_MUTANT_LIST(MIRDAX_MUTANT_ENUM) MIRDAX_MIRROR_MUTANT_LIST(MIRDAX_MUTANT_ENUM)
#undef MIRDAX_MUTANT_ENUM
};

#ifdef MIRDAX_MUTANTS
namespace internal {
inline Mutant active_mutant = Mutant::kNone;  // set before the first thread starts
}
inline bool Mutated(Mutant mutant) noexcept { return internal::active_mutant == mutant; }
#else
constexpr bool Mutated(Mutant) noexcept { return false; }
#endif

}  // namespace mirdax
