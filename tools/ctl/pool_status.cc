// SPDX-License-Identifier: BSD-2-Clause
// The status document of a pool that nobody uses.
#include <nlohmann/json.hpp>

#include "fs/base/text.h"
#include "fs/base/uuid.h"
#include "fs/format/names.h"
#include "fs/format/superblock.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "tools/common/text.h"
#include "tools/ctl/status.h"

namespace mirdax::ctl {
namespace {

using Json = nlohmann::ordered_json;

Json Members(const PrivateBlock& block) {
  Json members = Json::array();
  for (const Member& member : block.members) {
    if (member.state == MemberState::kNone) continue;
    members.push_back({{"address", MemberAddress(member)},
                       {"copy_uuid", Uuid{member.copy_uuid}.ToString()},
                       {"state", MemberStateName(member.state)},
                       {"since_epoch", member.since_epoch}});
  }
  return members;
}

}  // namespace

Result<std::string> PoolStatus(const std::string& path) {
  PoolOptions options;
  options.access = PoolAccess::kShared;
  const auto pool = Pool::Open(path, options);
  if (!pool) {
    if (pool.error().code != ErrorCode::kBusy) return Fail(pool.error());
    return Fail(ErrorCode::kBusy,
                "{}; or ask that process: mirdax status with the mount point, or with HOST:PORT of "
                "the mirror daemon",
                pool.error().message);
  }
  Region& region = (*pool)->region();
  const auto store = PrivateStore::Open(region);
  if (!store) return Fail(store.error().code, "{}: {}", path, store.error().message);
  const PrivateBlock block = (*store)->Get();
  const EpochId epoch = CurrentEpoch(block);
  const Lsn commit = region.As<CommitLine>(kCommitLineOffset).commit;
  if (const Status good = region.CheckGood(kCommitLineOffset, kLineSize); !good)
    return Fail(good.error().code, "{}: {}", path, good.error().message);
  const Json document{
      {"kind", "pool"},
      {"pool", path},
      {"label", LabelOf((*pool)->superblock())},
      {"set_uuid", Uuid{(*pool)->superblock().set_uuid}.ToString()},
      {"copy_uuid", Uuid{block.copy_uuid}.ToString()},
      {"role", RoleName(block.role)},
      {"state", StateName(block.state)},
      {"epoch", {{"number", epoch.number}, {"id", IdText(epoch.id)}}},
      {"commit_lsn", commit},
      {"tail_lsn", block.tail},
      {"granularity", GranularityName(region.granularity())},
      {"clean", block.clean == 1},
      {"read_only", false},
      {"shut_down", false},
      {"mirrors", Members(block)},
  };
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mirdax::ctl
