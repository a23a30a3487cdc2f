// SPDX-License-Identifier: BSD-2-Clause
// Does the operations of a workload to a mounted volume.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "fs/base/mutex.h"
#include "fs/core/volume.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

// Calls the engine as the kernel would on behalf of system calls: looks names up one by one, holds
// lookup counts while a file is open, asks for a sync after a write to a file with O_SYNC, writes
// the whole pages that a mapped store dirtied. Like the kernel, it lets nobody change the bytes or
// the size of a file between two calls into the engine that make one system call.
//
// Threads: one, or several that take turns (interleaver.h). Several executors may share a volume.
class Executor {
 public:
  explicit Executor(Volume& volume) : volume_(volume) {}

  // Bytes stored by write, append, mmap-store and copy (less than asked for when space ran out);
  // 0 for the others. Errors: the engine's.
  Result<uint64_t> Do(const Operation& operation);
  // All handles.
  void CloseAll();

  // What a handle stands for. REQUIRES: it is open.
  Ino InoOf(const std::string& handle) const { return handles_.at(handle); }

 private:
  // An inode that stays while we use it: by one lookup count, given back at the end, or (a handle,
  // the root) by somebody else's.
  class Held {
   public:
    explicit Held(Ino ino) : ino_(ino) {}
    Held(Volume& volume, Ino ino) : volume_(&volume), ino_(ino) {}
    Held(Held&& other) noexcept { *this = std::move(other); }
    Held& operator=(Held&& other) noexcept {
      std::swap(volume_, other.volume_);
      std::swap(ino_, other.ino_);
      return *this;
    }
    ~Held() {
      if (volume_ != nullptr) volume_->Forget(ino_, 1);
    }
    Ino ino() const noexcept { return ino_; }
    // The count is the caller's now.
    Ino Keep() {
      volume_ = nullptr;
      return ino_;
    }

   private:
    Volume* volume_ = nullptr;
    Ino ino_ = 0;
  };
  struct Place {
    Held dir;
    std::string name;
  };

  // Of the bytes and the size of a file. Shared by those who change them in one call.
  SharedMutex& DataLock(Ino ino) { return data_locks_[ino]; }

  Result<Held> Find(std::string_view path);
  Result<Place> Locate(std::string_view path);
  Status Made(const Result<Attributes>& made);

  Result<uint64_t> Append(const Operation& op, Ino file);
  Result<uint64_t> Write(const Operation& op);
  Result<uint64_t> MmapStore(const Operation& op);
  Result<uint64_t> Copy(const Operation& op);
  Status Name(const Operation& op);
  Status Rename(const Operation& op);
  Status Space(const Operation& op);
  Status Attribute(const Operation& op);
  Status Handle(const Operation& op);
  Status Sync(const Operation& op);

  Volume& volume_;
  std::map<std::string, Ino, std::less<>> handles_;  // each holds one lookup count
  std::map<Ino, SharedMutex> data_locks_;
};

}  // namespace mirdax::crash
