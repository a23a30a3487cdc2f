// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/membership.h"

#include <algorithm>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

void SetAddress(Member& member, const std::string& address) {
  member.address = {};
  const size_t length = std::min(address.size(), member.address.size() - 1);
  std::copy_n(address.begin(), length, member.address.begin());
}

}  // namespace

bool Membership::IsInSync(const Uuid& copy) const {
  const PrivateBlock block = private_store_.Get();
  return std::any_of(block.members.begin(), block.members.end(), [&](const Member& member) {
    return member.state == MemberState::kInSync && Uuid{member.copy_uuid} == copy;
  });
}

std::vector<Member> Membership::MissingFrom(const std::vector<MirrorLink*>& links) const {
  std::vector<Member> missing;
  for (const Member& member : private_store_.Get().members) {
    const bool present = std::any_of(links.begin(), links.end(), [&](const MirrorLink* link) {
      return link->info().copy_uuid == Uuid{member.copy_uuid};
    });
    if (member.state == MemberState::kInSync && !present) missing.push_back(member);
  }
  return missing;
}

Result<std::array<Member, kMaxMirrors>> Membership::NextMembers(
    const PrivateBlock& block, const std::vector<MirrorLink*>& in_sync) {
  const uint64_t number = CurrentEpoch(block).number;
  std::array<Member, kMaxMirrors> members = block.members;
  const auto wanted = [&](const Member& member) {
    return std::any_of(in_sync.begin(), in_sync.end(), [&](const MirrorLink* link) {
      return link->info().copy_uuid == Uuid{member.copy_uuid};
    });
  };
  for (Member& member : members) {
    if (member.state == MemberState::kInSync && !wanted(member)) {
      member.state = MemberState::kOutOfSync;
      member.since_epoch = number;
    }
  }
  for (const MirrorLink* link : in_sync) {
    // Whoever was out of sync at this address has been formatted anew, or moved away.
    Member joining{};
    SetAddress(joining, link->address());
    for (Member& member : members) {
      if (member.state == MemberState::kOutOfSync && member.address == joining.address &&
          Uuid{member.copy_uuid} != link->info().copy_uuid)
        member = Member{};
    }
    const auto find = [&](auto predicate) {
      return std::find_if(members.begin(), members.end(), predicate);
    };
    auto slot = find([&](const Member& member) {
      return member.state != MemberState::kNone && Uuid{member.copy_uuid} == link->info().copy_uuid;
    });
    if (slot == members.end())
      slot = find([](const Member& member) { return member.state == MemberState::kNone; });
    if (slot == members.end())
      slot = find([](const Member& member) { return member.state == MemberState::kOutOfSync; });
    if (slot == members.end())
      return Fail(ErrorCode::kNoSpace, "a set has at most {} mirrors", kMaxMirrors);
    if (slot->state != MemberState::kInSync || Uuid{slot->copy_uuid} != link->info().copy_uuid)
      slot->since_epoch = number;
    slot->copy_uuid = link->info().copy_uuid.bytes;
    slot->state = MemberState::kInSync;
    slot->zero = 0;
    SetAddress(*slot, link->address());
  }
  return members;
}

Status Membership::Change(std::vector<MirrorLink*>& in_sync) {
  for (;;) {
    const Lsn commit = region_.As<CommitLine>(kCommitLineOffset).commit;
    const auto begin = [&](PrivateBlock& block) {
      BeginEpoch(block, random_.Next64(), commit, clock_.Now().seconds);
    };
    PrivateBlock block = private_store_.Get();
    if (Mutated(Mutant::kEpochToldFirst)) {
      begin(block);
    } else {
      MIRDAX_TRY(private_store_.Update(begin));
      block = private_store_.Get();
    }
    MIRDAX_ASSIGN(const auto members, NextMembers(block, in_sync));
    EpochRecord epochs = EpochsOf(block);
    epochs.members.assign(members.begin(), members.end());
    const size_t before = in_sync.size();
    for (auto link = in_sync.begin(); link != in_sync.end();) {
      Status told;
      if (!Mutated(Mutant::kSurvivorsNotTold)) told = (*link)->SetEpoch(epochs);
      if (told) {
        ++link;
        continue;
      }
      if (told.error().code == ErrorCode::kStale) return told;
      (*link)->MarkFailed(std::move(told).error());
      link = in_sync.erase(link);
    }
    if (in_sync.size() != before) continue;  // the list was wrong: another epoch
    return private_store_.Update([&](PrivateBlock& next) {
      if (Mutated(Mutant::kEpochToldFirst)) StoreEpochs(epochs, next);
      next.members = members;
    });
  }
}

}  // namespace mirdax
