// SPDX-License-Identifier: BSD-2-Clause
// Superblocks, private blocks and the commit line: who this copy is, and where everything lies.
#include <array>
#include <optional>

#include "fs/format/private_block.h"
#include "fs/format/sequence.h"
#include "fs/format/superblock.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {
namespace {

// The valid one of an A/B pair with the higher sequence number. Damage of the other one is a
// warning: a power cut during an update leaves just that.
template <typename T>
std::optional<T> ReadPair(CheckContext& context, uint64_t offset,
                          Result<T> (*decode)(ConstBlockSpan), std::string_view name,
                          FindingCode one_bad, FindingCode both_bad) {
  const std::array copies{decode(context.BytesAt(offset)),
                          decode(context.BytesAt(offset + kBlockSize))};
  const bool any = copies[0] || copies[1];
  for (size_t i = 0; i < copies.size(); ++i) {
    const auto& other = copies[1 - i];
    const bool never_written =
        other && other->sequence == 1 && IsAllZero(context.BytesAt(offset + i * kBlockSize));
    if (copies[i] || never_written) continue;
    context.Add(any ? one_bad : both_bad,
                fmt::format("{} {} at {}: {}", name, i == 0 ? 'A' : 'B', offset + i * kBlockSize,
                            copies[i].error().message));
  }
  if (!any) return std::nullopt;
  const bool second =
      !copies[0] || (copies[1] && IsNewer(copies[1]->sequence, copies[0]->sequence));
  return *copies[second ? 1 : 0];
}

bool CheckSuperblock(CheckContext& context) {
  const auto superblock =
      ReadPair<Superblock>(context, kSuperblockOffset, DecodeSuperblock, "superblock",
                           FindingCode::kSuperblockCopyBad, FindingCode::kSuperblockBad);
  if (!superblock) return false;
  context.report.superblock = *superblock;
  if (superblock->pool_size > context.region.size()) {
    context.Add(FindingCode::kPoolTruncated,
                fmt::format("the pool has {} bytes, but its superblock says {}: it was truncated, "
                            "or copied in part",
                            context.region.size(), superblock->pool_size));
    return false;
  }
  if ((superblock->incompat & kIncompatBlank) != 0) return true;  // no geometry yet
  const Result<Geometry> geometry = GeometryOf(*superblock);
  if (!geometry) {
    context.Add(FindingCode::kSuperblockBad, geometry.error().message);
    return false;
  }
  context.geometry = *geometry;
  context.report.inode_count = geometry->inode_count;
  context.report.data_blocks = geometry->data_blocks;
  return true;
}

// False when the journal's place cannot be known.
bool CheckPrivate(CheckContext& context) {
  const auto block =
      ReadPair<PrivateBlock>(context, kPrivateBlockOffset, DecodePrivateBlock, "private block",
                             FindingCode::kPrivateCopyBad, FindingCode::kPrivateBlockBad);
  if (!block) return false;
  context.report.private_block = *block;
  const auto bad = [&](std::string_view what) {
    context.Add(FindingCode::kPrivateFieldBad, fmt::format("private block: {}", what));
  };
  const Superblock& superblock = context.report.superblock;
  const bool blank = (superblock.incompat & kIncompatBlank) != 0;
  if (block->state == CopyState::kConsistent && block->set_uuid != superblock.set_uuid) {
    bad("its set UUID is not the superblock's");
  }
  if (blank && block->state == CopyState::kConsistent) {
    bad("says consistent, but the superblock says never filled");
  }
  if (!blank && block->state == CopyState::kBlank) {
    bad("says blank, but the superblock says filled");
  }
  if (block->role == Role::kPrimary && block->state != CopyState::kConsistent) {
    bad("a primary that is not consistent");
  }
  return true;
}

// False when the journal cannot be read.
bool CheckCommitLine(CheckContext& context) {
  const auto& line = context.region.As<CommitLine>(kCommitLineOffset);
  const PrivateBlock& block = context.report.private_block;
  context.report.commit = line.commit;
  if (!IsAllZero(std::as_bytes(std::span(line.zero)))) {
    context.Add(FindingCode::kCommitLineBad, "commit line: reserved bytes are not zero");
  }
  const uint64_t in_flight = line.commit - block.tail;  // wraps when commit < tail: too big
  if (line.commit % kLineSize != 0 || block.tail % kLineSize != 0 ||
      in_flight > context.geometry.journal.length) {
    context.Add(FindingCode::kCommitLineBad,
                fmt::format("commit word {} and tail {} do not go together (journal of {} bytes)",
                            line.commit, block.tail, context.geometry.journal.length));
    return false;
  }
  if (block.clean == 1 && in_flight != 0) {
    context.Add(FindingCode::kCleanMarkWrong,
                fmt::format("marked clean, but {} bytes of journal wait to be applied", in_flight));
  }
  return true;
}

}  // namespace

bool CheckIdentity(CheckContext& context) {
  const bool superblock_ok = CheckSuperblock(context);
  const bool private_ok = CheckPrivate(context);
  if (!superblock_ok || !private_ok) return false;
  if (context.report.private_block.state == CopyState::kFilling) {
    context.Add(FindingCode::kCopyIncomplete,
                "this copy is being filled, or its filling was interrupted: it is no whole "
                "filesystem");
    return false;
  }
  if ((context.report.superblock.incompat & kIncompatBlank) != 0) return false;
  if (!CheckCommitLine(context)) return false;
  context.owners = std::make_unique<BlockOwners>(context.geometry.first_data_block(),
                                                 context.geometry.data_blocks);
  context.inodes = std::make_unique<InodeStates>(context.geometry.inode_count);
  return true;
}

}  // namespace mirdax::fsck
