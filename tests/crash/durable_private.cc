// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/durable_private.h"

#include <algorithm>

#include "fs/format/private_block.h"

namespace mirdax::crash {
namespace {

bool Concerns(const RegionEvent& event) {
  return event.kind == RegionEvent::Kind::kDrain ||
         (event.offset < kPrivateBlockOffset + 2 * kBlockSize &&
          event.offset + event.length > kPrivateBlockOffset);
}

}  // namespace

DurablePrivate::DurablePrivate(ImageRegion& region, const std::vector<RegionEvent>& log)
    : region_(region), log_(log), in_flight_(region) {
  region_.Begin();
}

DurablePrivate::~DurablePrivate() { region_.Undo(); }

Result<PrivateBlock> DurablePrivate::After(size_t events) {
  for (; replayed_ < events; ++replayed_)
    if (Concerns(log_[replayed_])) in_flight_.Replay(log_[replayed_]);
  const auto slot = [&](uint64_t index) {
    return ConstBlockSpan(region_.At(kPrivateBlockOffset + index * kBlockSize, kBlockSize),
                          kBlockSize);
  };
  MIRDAX_ASSIGN(const PrivateBlockChoice choice, ChoosePrivateBlock(slot(0), slot(1)));
  return choice.block;
}

bool ListsInSync(const PrivateBlock& primary, const PrivateBlock& mirror) noexcept {
  return std::ranges::any_of(primary.members, [&](const Member& member) {
    return member.state == MemberState::kInSync && member.copy_uuid == mirror.copy_uuid;
  });
}

}  // namespace mirdax::crash
