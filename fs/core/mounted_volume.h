// SPDX-License-Identifier: BSD-2-Clause
// The Volume: its parts, and the life from mount to unmount.
#pragma once

#include <memory>

#include "fs/core/attributes.h"
#include "fs/core/file_operations.h"
#include "fs/core/file_space.h"
#include "fs/core/file_writer.h"
#include "fs/core/namespace.h"
#include "fs/core/reaper.h"
#include "fs/core/renamer.h"
#include "fs/core/syncer.h"
#include "fs/core/volume.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// Each call goes to the part that knows how; see Volume.
class MountedVolume final : public Volume {
 public:
  explicit MountedVolume(std::unique_ptr<VolumeContext> context);
  ~MountedVolume() override;

  // Marks the pool in use, frees what the last mount left, starts the commit interval.
  Status Begin();

  Status Unmount() override;

  Result<Attributes> Lookup(Ino parent, std::string_view name) override;
  void Forget(Ino ino, uint64_t count) override;
  Result<Attributes> Create(Ino parent, std::string_view name, uint32_t mode,
                            const Caller& caller) override;
  Result<Attributes> MakeNode(Ino parent, std::string_view name, uint32_t mode, uint32_t rdev,
                              const Caller& caller) override;
  Result<Attributes> MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                   const Caller& caller) override;
  Result<Attributes> MakeSymlink(Ino parent, std::string_view name, std::string_view target,
                                 const Caller& caller) override;
  Result<Attributes> OpenTemporary(Ino parent, uint32_t mode, const Caller& caller) override;
  Result<Attributes> Link(Ino ino, Ino new_parent, std::string_view new_name) override;
  Status Unlink(Ino parent, std::string_view name) override;
  Status RemoveDirectory(Ino parent, std::string_view name) override;
  Status Rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags) override;
  Result<std::string> ReadLink(Ino ino) override;

  Status ReadDirectory(Ino ino, uint64_t cookie, bool attributes, const Emit& emit) override;

  Result<Attributes> GetAttributes(Ino ino) override;
  Result<Attributes> SetAttributes(Ino ino, const AttributeChange& change) override;
  Result<SpaceReport> Space() override;

  Result<std::string> GetXattr(Ino ino, std::string_view name) override;
  Result<std::vector<std::string>> ListXattrs(Ino ino) override;
  Status SetXattr(Ino ino, std::string_view name, std::string_view value, XattrMode mode) override;
  Status RemoveXattr(Ino ino, std::string_view name) override;

  Status Read(Ino ino, uint64_t offset, uint64_t length, const Reply& reply) override;
  Result<uint64_t> Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes) override;
  Result<uint64_t> Append(Ino ino, std::span<const std::byte> bytes) override;
  Status Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length) override;
  Result<uint64_t> Seek(Ino ino, uint64_t offset, SeekTo to) override;
  Result<std::vector<AllocatedRun>> Allocated(Ino ino) override;
  Result<uint64_t> CopyRange(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                             uint64_t length) override;

  Status Fsync(Ino ino, bool data_only) override;
  Status FsyncDirectory(Ino ino) override;
  Status SyncAll() override;
  Status Tick() override;

  VolumeStatus GetStatus() const override;

 private:
  // A call: it fails when the medium refused metadata meanwhile (VolumeContext::CheckMedium).
  template <typename Body>
  auto Look(Body body) -> decltype(body());
  // Likewise, with memory set aside for it.
  template <typename Body>
  auto Change(Body body) -> decltype(body());
  Status TryUnmount();

  const std::unique_ptr<VolumeContext> context_;
  Syncer syncer_;
  FileWriter writer_;
  FileSpace space_;
  Reaper reaper_;
  FileOperations files_;
  AttributeOperations attributes_;
  Namespace names_;
  Renamer renamer_;
};

}  // namespace mirdax
