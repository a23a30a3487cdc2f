// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/status_document.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "fs/pmem/private_store.h"

namespace mirdax {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTextBytes = 1024;

std::string Cut(const std::string& text) { return text.substr(0, kMaxTextBytes); }

std::string IsoTime(const Timestamp& time) {
  const time_t seconds = time.seconds;
  tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return {};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string LabelText(const Superblock& superblock) {
  const auto& label = superblock.label;
  return {label.data(), strnlen(label.data(), label.size())};
}

const char* RoleName(Role role) {
  switch (role) {
    case Role::kPrimary:
      return "primary";
    case Role::kMirror:
      return "mirror";
    case Role::kWitness:
      return "witness";
  }
  return "unknown";
}

const char* StateName(CopyState state) {
  switch (state) {
    case CopyState::kBlank:
      return "blank";
    case CopyState::kFilling:
      return "filling";
    case CopyState::kConsistent:
      return "consistent";
  }
  return "unknown";
}

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
  return Json{
      {"address", Cut(mirror.address)}, {"copy_uuid", Cut(mirror.copy_uuid)},
      {"state", Cut(mirror.state)},     {"acked_lsn", mirror.acked},
      {"applied_lsn", mirror.applied},  {"lag_bytes", commit - std::min(commit, mirror.acked)},
      {"method", Cut(mirror.method)},   {"reason", Cut(mirror.reason)},
      {"since", IsoTime(mirror.since)}};
}

}  // namespace

std::string RenderStatus(const MountReport& report) {
  const PrivateBlock& block = report.private_block;
  const EpochId epoch = CurrentEpoch(block);
  Json mirrors = Json::array();
  for (size_t i = 0; i < std::min<size_t>(report.mirrors.size(), kMaxMirrors); ++i)
    mirrors.push_back(MirrorToJson(report.mirrors[i], report.volume.commit));
  const Json document{
      {"kind", "mount"},
      {"pool", Cut(report.pool)},
      {"directory", Cut(report.directory)},
      {"label", LabelText(report.superblock)},
      {"set_uuid", Uuid{report.superblock.set_uuid}.ToString()},
      {"copy_uuid", Uuid{block.copy_uuid}.ToString()},
      {"role", RoleName(block.role)},
      {"state", StateName(block.state)},
      {"epoch", Json{{"number", epoch.number}, {"id", fmt::format("{:016x}", epoch.id)}}},
      {"commit_lsn", report.volume.commit},
      {"tail_lsn", report.volume.tail},
      {"pending_bytes", report.volume.pending_bytes},
      {"granularity", GranularityName(report.granularity)},
      {"pm", PmName(report.pm)},
      {"clean", block.clean != 0},
      {"read_only", report.read_only},
      {"shut_down", report.volume.shut_down},
      {"mirrors", std::move(mirrors)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mirdax
