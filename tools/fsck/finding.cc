// SPDX-License-Identifier: BSD-2-Clause
#include "tools/fsck/finding.h"

#include <utility>

namespace mirdax::fsck {
namespace {

using enum FindingCode;
constexpr Severity kW = Severity::kWarning;
constexpr Severity kE = Severity::kError;

constexpr std::array kTable{
    CodeInfo{kSuperblockCopyBad, "superblock-copy-bad", kW, "copying the valid superblock over it"},
    CodeInfo{kSuperblockBad, "superblock-bad", kE, "copying the superblock of another copy"},
    CodeInfo{kPoolTruncated, "pool-truncated", kE, "filling this copy again from another one"},
    CodeInfo{kPrivateCopyBad, "private-copy-bad", kW, "the next update of the private block"},
    CodeInfo{kPrivateBlockBad, "private-block-bad", kE, "filling this copy again from the primary"},
    CodeInfo{kPrivateFieldBad, "private-field-bad", kE, "filling this copy again from the primary"},
    CodeInfo{kCommitLineBad, "commit-line-bad", kE, "filling this copy again from the primary"},
    CodeInfo{kCleanMarkWrong, "clean-mark-wrong", kE, "clearing the clean mark"},
    CodeInfo{kCopyIncomplete, "copy-incomplete", kE, "filling this copy again from the primary"},
    CodeInfo{kJournalBad, "journal-bad", kE, "filling this copy again from another one"},
    CodeInfo{kInodeMissing, "inode-missing", kE, "freeing the inode number"},
    CodeInfo{kInodeChecksumBad, "inode-checksum-bad", kE, "checking and resealing the inode"},
    CodeInfo{kInodeNumberWrong, "inode-number-wrong", kE, "clearing the inode"},
    CodeInfo{kInodeModeBad, "inode-mode-bad", kE, "clearing the inode"},
    CodeInfo{kInodeFieldBad, "inode-field-bad", kE, "resetting the field"},
    CodeInfo{kInodeLinksZero, "inode-links-zero", kE, "counting its names, or freeing the inode"},
    CodeInfo{kInodeSlotNotEmpty, "inode-slot-not-empty", kE, "clearing the slot"},
    CodeInfo{kRootBad, "root-bad", kE, "making a new root directory"},
    CodeInfo{kNodeBad, "node-bad", kE, "cutting the node off its tree"},
    CodeInfo{kNodeChecksumBad, "node-checksum-bad", kE, "checking and resealing the node"},
    CodeInfo{kNodeOutsideData, "node-outside-data", kE, "cutting the node off its tree"},
    CodeInfo{kBlockOwnedTwice, "block-owned-twice", kE, "copying the block for each owner"},
    CodeInfo{kBlockCountWrong, "block-count-wrong", kE, "setting the count"},
    CodeInfo{kExtentOutsideData, "extent-outside-data", kE, "removing the extent"},
    CodeInfo{kExtentBad, "extent-bad", kE, "removing the extent"},
    CodeInfo{kExtentOrderWrong, "extent-order-wrong", kE, "removing the extent"},
    CodeInfo{kExtentBeyondSize, "extent-beyond-size", kE, "cutting the extent at the size"},
    CodeInfo{kSymlinkBad, "symlink-bad", kE, "removing the symbolic link"},
    CodeInfo{kPayloadBad, "payload-bad", kE, "clearing the payload"},
    CodeInfo{kDirOrderWrong, "dir-order-wrong", kE, "building the directory again"},
    CodeInfo{kDirHashWrong, "dir-hash-wrong", kE, "building the directory again"},
    CodeInfo{kDirEntryBad, "dir-entry-bad", kE, "removing the entry"},
    CodeInfo{kDirNameTwice, "dir-name-twice", kE, "renaming the second entry"},
    CodeInfo{kDirCountWrong, "dir-count-wrong", kE, "setting the count"},
    CodeInfo{kDirSizeWrong, "dir-size-wrong", kE, "setting the size"},
    CodeInfo{kDirDangling, "dir-dangling", kE, "removing the entry"},
    CodeInfo{kDirTypeWrong, "dir-type-wrong", kE, "setting the entry's type"},
    CodeInfo{kDirParentWrong, "dir-parent-wrong", kE, "setting the parent"},
    CodeInfo{kDirTwoNames, "dir-two-names", kE, "removing the names that do not match the parent"},
    CodeInfo{kDirLoop, "dir-loop", kE, "moving the directory to lost+found"},
    CodeInfo{kDirUnreachable, "dir-unreachable", kE, "moving the directory to lost+found"},
    CodeInfo{kXattrBad, "xattr-bad", kE, "removing the attribute block"},
    CodeInfo{kLinkCountWrong, "link-count-wrong", kE, "setting the link count"},
    CodeInfo{kInodeUnattached, "inode-unattached", kE, "giving it a name in lost+found"},
    CodeInfo{kOrphanWrong, "orphan-wrong", kE, "setting flag and bitmap as the links say"},
    CodeInfo{kBlockLeaked, "block-leaked", kE, "freeing the blocks"},
    CodeInfo{kBlockNotMarked, "block-not-marked", kE, "marking the blocks in use"},
    CodeInfo{kBitmapBad, "bitmap-bad", kE, "setting the bits"},
    CodeInfo{kMediumBad, "medium-bad", kE, "filling this copy again from another one"},
};

constexpr bool TableIsInOrder() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  }
  return kTable.size() == static_cast<size_t>(kMediumBad) + 1;
}
static_assert(TableIsInOrder());

}  // namespace

const CodeInfo& InfoOf(FindingCode code) noexcept { return kTable[static_cast<size_t>(code)]; }

void Findings::Add(Finding finding) {
  ++(InfoOf(finding.code).severity == Severity::kError ? errors_ : warnings_);
  if (counts_[static_cast<size_t>(finding.code)]++ < kKeptPerCode) {
    kept_.push_back(std::move(finding));
  }
}

}  // namespace mirdax::fsck
