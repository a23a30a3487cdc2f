// SPDX-License-Identifier: BSD-2-Clause
// Where status documents come from, and what they mean. See mirdax(8) for the document.
#pragma once

#include <chrono>
#include <string>

#include "fs/base/result.h"
#include "fs/fuse/mount_table.h"

namespace mirdax::ctl {

struct StatusOptions {
  std::string key_file;
  bool no_auth = false;
  std::chrono::milliseconds timeout{3000};
};

// The document of whatever `target` names. Waits `timeout` at most, and never for a mirror of a
// mount: its daemon tells what it knows (R10).
// Errors: as ParseTarget, FetchMirrorStatus and Pool::Open; kPeerLost, kTimedOut (a mount's
// daemon).
Result<std::string> FetchStatus(const std::string& target, const StatusOptions& options);

// What the daemon of the mount on `device` says on its socket in `directory`.
Result<std::string> ReadStatusSocket(const std::string& path, std::chrono::milliseconds timeout);
// Of a pool that nobody uses, read shared.
Result<std::string> PoolStatus(const std::string& path);

struct RenderedStatus {
  std::string text;  // for people
  std::string json;  // the document, indented
  bool healthy = false;
};
// Errors: kIncompatible when it is no status document.
Result<RenderedStatus> RenderStatus(const std::string& document);

}  // namespace mirdax::ctl
