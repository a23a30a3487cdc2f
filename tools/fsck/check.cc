// SPDX-License-Identifier: BSD-2-Clause
#include "tools/fsck/check.h"

#include <array>

#include "fs/format/superblock.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

struct Phase {
  std::string_view name;
  bool (*run)(CheckContext&);
};

// Later phases rest on what earlier ones found: states of inodes, owners of blocks, names.
constexpr std::array kPhases{
    Phase{"identity", CheckIdentity},
    Phase{"journal", CheckJournal},
    Phase{"inodes", CheckInodes},
    Phase{"extents", CheckExtents},
    Phase{"directories", CheckDirectories},
    Phase{"attributes", CheckXattrs},
    Phase{"links", CheckLinks},
    Phase{"orphans", CheckOrphans},
    Phase{"bitmaps", CheckBitmaps},
};

// Tells "not a pool of ours" and "too new for us" from damage: neither is for fsck to judge.
Status Recognise(CheckContext& context) {
  const uint64_t size = context.region.size();
  if (size < kDynamicAreaOffset) {
    return Fail(ErrorCode::kCorrupt,
                "{} bytes are too short for a mirdax pool; is this the right file or device?",
                size);
  }
  const auto a = context.BytesAt(kSuperblockOffset);
  const auto b = context.BytesAt(kSuperblockOffset + kBlockSize);
  if (!HasSuperblockMagic(a) && !HasSuperblockMagic(b)) {
    return Fail(ErrorCode::kCorrupt,
                "no superblock of mirdax at 0 or 4096; is this the right file or device?");
  }
  const Result<SuperblockChoice> choice = ChooseSuperblock(a, b);
  if (!choice && choice.error().code == ErrorCode::kIncompatible) return Fail(choice.error());
  if (choice && !UnknownRoCompat(choice->superblock).empty()) {
    return Fail(ErrorCode::kIncompatible,
                "features {} are not known to this fsck.mirdax; use a newer one",
                UnknownRoCompat(choice->superblock));
  }
  return {};
}

}  // namespace

Result<FsckReport> CheckPool(Region& region, const CheckOptions& options) {
  FsckReport report;
  CheckContext context(region, options, report);
  const Status recognised = Recognise(context);
  // Without a superblock there is nothing to find.
  if (!recognised) {
    MIRDAX_TRY(region.CheckGood(kSuperblockOffset, kPrivateBlockOffset));
    return Fail(recognised.error());
  }
  bool complete = true;
  for (const Phase& phase : kPhases) {
    context.Progress(phase.name, 0, 1);
    if (!phase.run(context)) {
      complete = false;
      break;
    }
  }
  for (const BadRange& bad : region.bad().List()) {
    context.Add(FindingCode::kMediumBad,
                fmt::format("the medium refuses {} bytes at {} of the pool; they were taken for "
                            "zeros, so other findings may come of that",
                            bad.range.length, bad.range.offset),
                0, bad.range.offset / kBlockSize);
  }
  report.contents_checked = complete;
  if (complete && options.paths && !report.findings.kept().empty()) ResolvePaths(context);
  return report;
}

}  // namespace mirdax::fsck
