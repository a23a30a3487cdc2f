// SPDX-License-Identifier: BSD-2-Clause
// A volume whose calls are the product at work: faults strike inside them, and nowhere else.
#pragma once

#include <new>

#include "fs/core/volume.h"
#include "tests/crash/faults.h"

namespace mirdax::crash {

// Also does what the FUSE requests do with an exception: no memory becomes ENOMEM, and others end
// the process.
//
// Threads: as Faults.
class WorkingVolume final : public Volume {
 public:
  // REQUIRES: both outlive the object.
  WorkingVolume(Volume& real, Faults& faults) : real_(real), faults_(faults) {}

  Status Unmount() override {
    return Do<Status>([&] { return real_.Unmount(); });
  }

  Result<Attributes> Lookup(Ino parent, std::string_view name) override {
    auto found = Do<Result<Attributes>>([&] { return real_.Lookup(parent, name); });
    looked_up_last_ = true;
    return found;
  }
  // Whether the last call was part of the way to a file: open(2), not what is then done with it.
  bool looked_up_last() const noexcept { return looked_up_last_; }

  void Forget(Ino ino, uint64_t count) noexcept override {
    const Faults::Work work(faults_);
    real_.Forget(ino, count);
  }
  Result<Attributes> Create(Ino parent, std::string_view name, uint32_t mode,
                            const Caller& caller) override {
    return Do<Result<Attributes>>([&] { return real_.Create(parent, name, mode, caller); });
  }
  Result<Attributes> MakeNode(Ino parent, std::string_view name, uint32_t mode, uint32_t rdev,
                              const Caller& caller) override {
    return Do<Result<Attributes>>([&] { return real_.MakeNode(parent, name, mode, rdev, caller); });
  }
  Result<Attributes> MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                   const Caller& caller) override {
    return Do<Result<Attributes>>([&] { return real_.MakeDirectory(parent, name, mode, caller); });
  }
  Result<Attributes> MakeSymlink(Ino parent, std::string_view name, std::string_view target,
                                 const Caller& caller) override {
    return Do<Result<Attributes>>([&] { return real_.MakeSymlink(parent, name, target, caller); });
  }
  Result<Attributes> OpenTemporary(Ino parent, uint32_t mode, const Caller& caller) override {
    return Do<Result<Attributes>>([&] { return real_.OpenTemporary(parent, mode, caller); });
  }
  Result<Attributes> Link(Ino ino, Ino new_parent, std::string_view new_name) override {
    return Do<Result<Attributes>>([&] { return real_.Link(ino, new_parent, new_name); });
  }
  Status Unlink(Ino parent, std::string_view name) override {
    return Do<Status>([&] { return real_.Unlink(parent, name); });
  }
  Status RemoveDirectory(Ino parent, std::string_view name) override {
    return Do<Status>([&] { return real_.RemoveDirectory(parent, name); });
  }
  Status Rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags) override {
    return Do<Status>([&] { return real_.Rename(parent, name, new_parent, new_name, flags); });
  }
  Result<std::string> ReadLink(Ino ino) override {
    return Do<Result<std::string>>([&] { return real_.ReadLink(ino); });
  }

  Status ReadDirectory(Ino ino, uint64_t cookie, bool attributes, const Emit& emit) override {
    const Emit aside = [&](const DirEntry& entry, const Attributes* found) {
      const Faults::Work pause(faults_, false);
      return emit(entry, found);
    };
    return Do<Status>([&] { return real_.ReadDirectory(ino, cookie, attributes, aside); });
  }

  Result<Attributes> GetAttributes(Ino ino) override {
    return Do<Result<Attributes>>([&] { return real_.GetAttributes(ino); });
  }
  Result<Attributes> SetAttributes(Ino ino, const AttributeChange& change) override {
    return Do<Result<Attributes>>([&] { return real_.SetAttributes(ino, change); });
  }
  Result<SpaceReport> Space() override {
    return Do<Result<SpaceReport>>([&] { return real_.Space(); });
  }
  Result<std::string> GetXattr(Ino ino, std::string_view name) override {
    return Do<Result<std::string>>([&] { return real_.GetXattr(ino, name); });
  }
  Result<std::vector<std::string>> ListXattrs(Ino ino) override {
    return Do<Result<std::vector<std::string>>>([&] { return real_.ListXattrs(ino); });
  }
  Status SetXattr(Ino ino, std::string_view name, std::string_view value, XattrMode mode) override {
    return Do<Status>([&] { return real_.SetXattr(ino, name, value, mode); });
  }
  Status RemoveXattr(Ino ino, std::string_view name) override {
    return Do<Status>([&] { return real_.RemoveXattr(ino, name); });
  }

  Status Read(Ino ino, uint64_t offset, uint64_t length, const Reply& reply) override {
    bool refused = false;
    const Reply aside = [&](std::span<const std::span<const std::byte>> spans) {
      // As the kernel does, which answers the reader itself when it is refused a byte.
      const uint64_t strikes = faults_.strikes();
      if (faults_.plan().kind == FaultKind::kPoison)
        for (const std::span<const std::byte> span : spans) FindBad(span);
      if (faults_.strikes() != strikes) {
        refused = true;
        return;
      }
      const Faults::Work pause(faults_, false);
      reply(spans);
    };
    const Status done = Do<Status>([&] { return real_.Read(ino, offset, length, aside); });
    if (refused) return Fail(ErrorCode::kIo, "refused to the kernel");
    return done;
  }
  Result<uint64_t> Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes) override {
    return Do<Result<uint64_t>>([&] { return real_.Write(ino, offset, bytes); });
  }
  Result<uint64_t> Append(Ino ino, std::span<const std::byte> bytes) override {
    return Do<Result<uint64_t>>([&] { return real_.Append(ino, bytes); });
  }
  Status Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length) override {
    return Do<Status>([&] { return real_.Allocate(ino, mode, offset, length); });
  }
  Result<uint64_t> Seek(Ino ino, uint64_t offset, SeekTo to) override {
    return Do<Result<uint64_t>>([&] { return real_.Seek(ino, offset, to); });
  }
  Result<std::vector<AllocatedRun>> Allocated(Ino ino) override {
    return Do<Result<std::vector<AllocatedRun>>>([&] { return real_.Allocated(ino); });
  }
  Result<uint64_t> CopyRange(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                             uint64_t length) override {
    return Do<Result<uint64_t>>(
        [&] { return real_.CopyRange(from, from_offset, to, to_offset, length); });
  }

  Status Fsync(Ino ino, bool data_only) override {
    return Do<Status>([&] { return real_.Fsync(ino, data_only); });
  }
  Status FsyncDirectory(Ino ino) override {
    return Do<Status>([&] { return real_.FsyncDirectory(ino); });
  }
  Status SyncAll() override {
    return Do<Status>([&] { return real_.SyncAll(); });
  }
  Status Tick() override {
    return Do<Status>([&] { return real_.Tick(); });
  }
  VolumeStatus GetStatus() const override { return real_.GetStatus(); }

 private:
  template <typename Answer, typename Body>
  Answer Do(const Body& body) {
    looked_up_last_ = false;
    const Faults::Work work(faults_);
    try {
      return body();
    } catch (const std::bad_alloc&) {
      return Fail(ErrorCode::kNoMemory);
    }
  }

  Volume& real_;
  Faults& faults_;
  bool looked_up_last_ = false;
};

}  // namespace mirdax::crash
