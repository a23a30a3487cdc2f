// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/status_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fs/base/text.h"
#include "fs/format/names.h"
#include "fs/format/superblock.h"
#include "fs/pmem/private_store.h"

namespace mirdax {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTextBytes = 1024;

std::string Cut(const std::string& text) { return text.substr(0, kMaxTextBytes); }

const char* PmName(PmMode mode) {
  switch (mode) {
    case PmMode::kDirect:
      return "direct";
    case PmMode::kShadow:
      return "shadow";
    case PmMode::kShadowHalf:
      return "shadow-half";
  }
  return "unknown";
}

Json MirrorToJson(const MirrorReport& mirror, Lsn commit) {
  return Json{{"address", Cut(mirror.address)},
              {"copy_uuid", Cut(mirror.copy_uuid)},
              {"state", Cut(mirror.state)},
              {"acked_lsn", mirror.acked},
              {"applied_lsn", mirror.applied},
              {"lag_bytes", commit - std::min(commit, mirror.acked)},
              {"method", Cut(mirror.method)},
              {"reason", Cut(mirror.reason)},
              {"since", TimeText(mirror.since.seconds)}};
}

// A mirror of the set that this mount has no connection to.
Json MemberToJson(const Member& member) {
  return Json{{"address", MemberAddress(member)},
              {"copy_uuid", Uuid{member.copy_uuid}.ToString()},
              {"state", MemberStateName(member.state)},
              {"since_epoch", member.since_epoch},
              {"reason", fmt::format("not connected; since epoch {}", member.since_epoch)}};
}

// A copy that was formatted anew, or not reached yet, is known by its address alone.
bool IsReported(const std::vector<MirrorReport>& mirrors, const Member& member) {
  return std::any_of(mirrors.begin(), mirrors.end(), [&](const MirrorReport& mirror) {
    return mirror.copy_uuid == Uuid{member.copy_uuid}.ToString() ||
           mirror.address == MemberAddress(member);
  });
}

// What the medium has refused, metadata first; the first of them, if there are many.
Json BadToJson(std::vector<BadRange> bad) {
  constexpr size_t kMostShown = 32;
  std::stable_partition(bad.begin(), bad.end(), [](const BadRange& one) { return one.metadata; });
  Json rows = Json::array();
  for (size_t i = 0; i < std::min(bad.size(), kMostShown); ++i)
    rows.push_back(Json{{"offset", bad[i].range.offset},
                        {"length", bad[i].range.length},
                        {"holds", bad[i].metadata ? "metadata" : "file data"}});
  return rows;
}

}  // namespace

std::string RenderStatus(const MountReport& report) {
  const PrivateBlock& block = report.private_block;
  const EpochId epoch = CurrentEpoch(block);
  Json mirrors = Json::array();
  for (size_t i = 0; i < std::min<size_t>(report.mirrors.size(), kMaxMirrors); ++i)
    mirrors.push_back(MirrorToJson(report.mirrors[i], report.volume.commit));
  for (const Member& member : block.members) {
    if (member.state != MemberState::kNone && !IsReported(report.mirrors, member))
      mirrors.push_back(MemberToJson(member));
  }
  const Json document{{"kind", "mount"},
                      {"pid", report.pid},
                      {"pool", Cut(report.pool)},
                      {"directory", Cut(report.directory)},
                      {"label", LabelOf(report.superblock)},
                      {"set_uuid", Uuid{report.superblock.set_uuid}.ToString()},
                      {"copy_uuid", Uuid{block.copy_uuid}.ToString()},
                      {"role", RoleName(block.role)},
                      {"state", StateName(block.state)},
                      {"epoch", Json{{"number", epoch.number}, {"id", IdText(epoch.id)}}},
                      {"commit_lsn", report.volume.commit},
                      {"tail_lsn", report.volume.tail},
                      {"pending_bytes", report.volume.pending_bytes},
                      {"granularity", GranularityName(report.granularity)},
                      {"pm", PmName(report.pm)},
                      {"clean", block.clean != 0},
                      {"read_only", report.read_only},
                      {"shut_down", report.volume.shut_down},
                      {"bad_ranges", BadToJson(report.volume.bad)},
                      {"mirrors", std::move(mirrors)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mirdax
