// SPDX-License-Identifier: BSD-2-Clause
// What fsck.mirdax found: one line for each thing that the format does not allow.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fs/format/layout.h"

namespace mirdax::fsck {

enum class Severity : uint8_t {
  kWarning,  // what a power cut may leave, or what harms nothing: the pool is still clean
  kError,
};

enum class FindingCode : uint8_t {
  // identity
  kSuperblockCopyBad,
  kSuperblockBad,
  kPoolTruncated,
  kPrivateCopyBad,
  kPrivateBlockBad,
  kPrivateFieldBad,
  kCommitLineBad,
  kCleanMarkWrong,
  kCopyIncomplete,
  // journal
  kJournalBad,
  // inodes
  kInodeMissing,
  kInodeChecksumBad,
  kInodeNumberWrong,
  kInodeModeBad,
  kInodeFieldBad,
  kInodeLinksZero,
  kInodeSlotNotEmpty,
  kRootBad,
  // trees, common to extents and directories
  kNodeBad,
  kNodeChecksumBad,
  kNodeOutsideData,
  kBlockOwnedTwice,
  kBlockCountWrong,
  // extents
  kExtentOutsideData,
  kExtentBad,
  kExtentOrderWrong,
  kExtentBeyondSize,
  kSymlinkBad,
  kPayloadBad,
  // directories
  kDirOrderWrong,
  kDirHashWrong,
  kDirEntryBad,
  kDirNameTwice,
  kDirCountWrong,
  kDirSizeWrong,
  kDirDangling,
  kDirTypeWrong,
  kDirParentWrong,
  kDirTwoNames,
  kDirLoop,
  kDirUnreachable,
  // attributes
  kXattrBad,
  // links, orphans, bitmaps
  kLinkCountWrong,
  kInodeUnattached,
  kOrphanWrong,
  kBlockLeaked,
  kBlockNotMarked,
  kBitmapBad,
  kMediumBad,
};

struct CodeInfo {
  FindingCode code;
  std::string_view name;  // in --json; never renamed
  Severity severity;
  std::string_view fix;  // continues "would fix by ..."
};
const CodeInfo& InfoOf(FindingCode code) noexcept;

struct Finding {
  FindingCode code{};
  std::string text;   // what is wrong, with the numbers
  Ino ino = 0;        // 0 = not about an inode
  BlockNo block = 0;  // 0 = not about a block
  std::string path;   // of `ino`, "" when it has none or it is not known
};

// Collects findings, bounded: a hostile pool cannot fill memory with them. The first
// `kKeptPerCode` of each code are kept, all are counted.
class Findings {
 public:
  static constexpr size_t kKeptPerCode = 100;

  void Add(Finding finding);
  void Add(FindingCode code, std::string text, Ino ino = 0, BlockNo block = 0) {
    Add(Finding{code, std::move(text), ino, block, {}});
  }

  const std::vector<Finding>& kept() const noexcept { return kept_; }
  std::vector<Finding>& kept() noexcept { return kept_; }
  uint64_t errors() const noexcept { return errors_; }
  uint64_t warnings() const noexcept { return warnings_; }
  uint64_t not_kept() const noexcept { return errors_ + warnings_ - kept_.size(); }
  uint64_t count(FindingCode code) const noexcept { return counts_[static_cast<size_t>(code)]; }

 private:
  static constexpr size_t kCodes = static_cast<size_t>(FindingCode::kMediumBad) + 1;

  std::vector<Finding> kept_;
  std::array<uint64_t, kCodes> counts_{};
  uint64_t errors_ = 0;
  uint64_t warnings_ = 0;
};

}  // namespace mirdax::fsck
