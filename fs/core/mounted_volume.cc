// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/mounted_volume.h"

#include <spdlog/spdlog.h>

#include <new>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"
#include "fs/core/recovery.h"

namespace mirdax {

Result<std::unique_ptr<Volume>> Volume::Mount(Pool& pool, PrivateStore& private_store,
                                              ReplicationSink& sink, Clock& clock, Random& random,
                                              const VolumeOptions& options) {
  (void)random;
  MemoryReserve::Install();
  const auto mount = [&]() -> Result<std::unique_ptr<Volume>> {
    // Nothing to do when the caller has recovered the pool before it connected the mirrors.
    MIRDAX_TRY(RecoverPool(pool, private_store));
    MIRDAX_ASSIGN(auto context, VolumeContext::Open(pool, private_store, sink, clock, options));
    auto volume = std::make_unique<MountedVolume>(std::move(context));
    MIRDAX_TRY(volume->Begin());
    return volume;
  };
  try {
    auto mounted = mount();
    // Whatever else went wrong may come of that.
    if (pool.region().bad().in_metadata() != 0) return Fail(DescribeLoss(pool.region().bad()));
    return mounted;
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kNoMemory);
  }
}

MountedVolume::MountedVolume(std::unique_ptr<VolumeContext> context)
    : context_(std::move(context)),
      syncer_(*context_),
      writer_(*context_),
      space_(*context_, writer_, syncer_),
      reaper_(*context_, space_),
      files_(*context_, writer_, space_, syncer_),
      attributes_(*context_, space_, syncer_),
      names_(*context_, reaper_, files_.reader()),
      renamer_(*context_, reaper_) {
  syncer_.BeforeTick([this] {
    reaper_.ReapLeft();
    space_.TrimLeft();
  });
}

MountedVolume::~MountedVolume() { syncer_.Stop(); }

template <typename Body>
auto MountedVolume::Look(Body body) -> decltype(body()) {
  const uint64_t losses = context_->losses();
  auto result = body();
  MIRDAX_TRY(context_->CheckMedium(losses));
  return result;
}

template <typename Body>
auto MountedVolume::Change(Body body) -> decltype(body()) {
  return Look([&]() -> decltype(body()) {
    MIRDAX_ASSIGN(const MemoryReserve reserve, MemoryReserve::Open());
    return body();
  });
}

Status MountedVolume::Begin() {
  MIRDAX_ASSIGN(const MemoryReserve reserve, MemoryReserve::Open());
  MIRDAX_ASSIGN(const InodeRef root, context_->Get(kRootIno));
  {
    ReadLock lock(root->mutex);
    if (!IsDirectory(root->disk)) {
      return Fail(ErrorCode::kCorrupt, "the root inode is no directory; run fsck.mirdax");
    }
  }
  MIRDAX_TRY(context_->CheckMetadata());  // the bitmaps were read as a whole
  if (context_->options.read_only) return {};
  // Before the first change, so that a crash is never taken for a clean end.
  MIRDAX_TRY(context_->private_store.Update([](PrivateBlock& block) {
    block.clean = 0;
    ++block.mount_count;
  }));
  MIRDAX_TRY(reaper_.ReapAllAtMount());
  if (context_->options.background) syncer_.Start();
  return {};
}

Status MountedVolume::Unmount() {
  return Change([&] { return TryUnmount(); });
}

Status MountedVolume::TryUnmount() {
  syncer_.Stop();
  if (context_->options.read_only) return {};
  if (!context_->unmounted.load()) {
    MIRDAX_TRY(context_->CheckWritable());
    MIRDAX_TRY(syncer_.SyncAll());
    space_.TrimLeft();
    reaper_.ReapAllAtUnmount();
    MIRDAX_TRY(context_->transactions->CommitAll());
    // Mirrors that do not apply in time leave the list: they do not keep this copy from being
    // clean.
    MIRDAX_TRY(context_->transactions->Checkpoint(true));
    context_->unmounted.store(true);
  } else if (context_->private_store.Get().clean == 1) {
    return Fail(ErrorCode::kShutdown);
  }
  const TransactionStats stats = context_->transactions->stats();
  if (stats.tail != stats.commit) {
    return Fail(ErrorCode::kIo, "the journal could not be emptied; the next mount replays it");
  }
  return context_->private_store.Update([](PrivateBlock& block) { block.clean = 1; });
}

Result<Attributes> MountedVolume::Lookup(Ino parent, std::string_view name) {
  return Change([&] { return names_.Lookup(parent, name); });
}

void MountedVolume::Forget(Ino ino, uint64_t count) {
  if (ino == 0 || ino >= context_->transactions->geometry().inode_count) return;
  reaper_.Release(ino, count);
}

Result<Attributes> MountedVolume::Create(Ino parent, std::string_view name, uint32_t mode,
                                         const Caller& caller) {
  return Change([&] { return names_.MakeNode(parent, name, 0100000 | (mode & 07777), 0, caller); });
}

Result<Attributes> MountedVolume::MakeNode(Ino parent, std::string_view name, uint32_t mode,
                                           uint32_t rdev, const Caller& caller) {
  return Change([&] { return names_.MakeNode(parent, name, mode, rdev, caller); });
}

Result<Attributes> MountedVolume::MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                                const Caller& caller) {
  return Change([&] { return names_.MakeDirectory(parent, name, mode, caller); });
}

Result<Attributes> MountedVolume::MakeSymlink(Ino parent, std::string_view name,
                                              std::string_view target, const Caller& caller) {
  return Change([&] { return names_.MakeSymlink(parent, name, target, caller); });
}

Result<Attributes> MountedVolume::OpenTemporary(Ino parent, uint32_t mode, const Caller& caller) {
  return Change([&] { return names_.OpenTemporary(parent, mode, caller); });
}

Result<Attributes> MountedVolume::Link(Ino ino, Ino new_parent, std::string_view new_name) {
  return Change([&] { return names_.Link(ino, new_parent, new_name); });
}

Status MountedVolume::Unlink(Ino parent, std::string_view name) {
  return Change([&] { return names_.Unlink(parent, name); });
}

Status MountedVolume::RemoveDirectory(Ino parent, std::string_view name) {
  return Change([&] { return names_.RemoveDirectory(parent, name); });
}

Status MountedVolume::Rename(Ino parent, std::string_view name, Ino new_parent,
                             std::string_view new_name, uint32_t flags) {
  return Change([&] { return renamer_.Rename(parent, name, new_parent, new_name, flags); });
}

Result<std::string> MountedVolume::ReadLink(Ino ino) {
  return Look([&] { return names_.ReadLink(ino); });
}

Status MountedVolume::ReadDirectory(Ino ino, uint64_t cookie, bool attributes, const Emit& emit) {
  return Change([&] { return names_.ReadDirectory(ino, cookie, attributes, emit); });
}

Result<Attributes> MountedVolume::GetAttributes(Ino ino) {
  return Look([&] { return attributes_.Get(ino); });
}

Result<Attributes> MountedVolume::SetAttributes(Ino ino, const AttributeChange& change) {
  return Change([&] { return attributes_.Set(ino, change); });
}

Result<SpaceReport> MountedVolume::Space() {
  const SpaceStats stats = context_->allocator->stats();
  return SpaceReport{stats.blocks_total, stats.blocks_free, stats.blocks_available,
                     stats.inodes_total, stats.inodes_free};
}

Result<std::string> MountedVolume::GetXattr(Ino ino, std::string_view name) {
  return Look([&] { return attributes_.GetXattr(ino, name); });
}

Result<std::vector<std::string>> MountedVolume::ListXattrs(Ino ino) {
  return Look([&] { return attributes_.ListXattrs(ino); });
}

Status MountedVolume::SetXattr(Ino ino, std::string_view name, std::string_view value,
                               XattrMode mode) {
  return Change([&] { return attributes_.SetXattr(ino, name, value, mode); });
}

Status MountedVolume::RemoveXattr(Ino ino, std::string_view name) {
  return Change([&] { return attributes_.RemoveXattr(ino, name); });
}

Status MountedVolume::Read(Ino ino, uint64_t offset, uint64_t length, const Reply& reply) {
  Status done = files_.Read(ino, offset, length, reply);
  static_cast<void>(context_->CheckMedium(context_->losses()));  // for the log: it has replied
  return done;
}

Result<uint64_t> MountedVolume::Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes) {
  return Change([&] { return files_.Write(ino, offset, bytes); });
}

Result<uint64_t> MountedVolume::Append(Ino ino, std::span<const std::byte> bytes) {
  return Change([&] { return files_.Append(ino, bytes); });
}

Status MountedVolume::Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length) {
  return Change([&] { return files_.Allocate(ino, mode, offset, length); });
}

Result<uint64_t> MountedVolume::Seek(Ino ino, uint64_t offset, SeekTo to) {
  return Look([&] { return files_.Seek(ino, offset, to); });
}

Result<std::vector<AllocatedRun>> MountedVolume::Allocated(Ino ino) {
  return Look([&] { return files_.Allocated(ino); });
}

Result<uint64_t> MountedVolume::CopyRange(Ino from, uint64_t from_offset, Ino to,
                                          uint64_t to_offset, uint64_t length) {
  return Change([&] { return files_.CopyRange(from, from_offset, to, to_offset, length); });
}

// To fsync(2) no memory is no reason of its own, and to msync(2) it means another thing.
Status MountedVolume::Fsync(Ino ino, bool data_only) {
  Status done = Change([&] { return syncer_.Sync(ino, data_only); });
  const bool no_memory = !done && done.error().code == ErrorCode::kNoMemory;
  if (no_memory && !Mutated(Mutant::kSyncSaysNoMemory)) done = Fail(ErrorCode::kIo);
  return done;
}

Status MountedVolume::FsyncDirectory(Ino ino) { return Fsync(ino, false); }

Status MountedVolume::SyncAll() {
  return Change([&] { return syncer_.SyncAll(); });
}

Status MountedVolume::Tick() {
  return Look([&] { return syncer_.Tick(); });
}

VolumeStatus MountedVolume::GetStatus() const {
  const TransactionStats stats = context_->transactions->stats();
  VolumeStatus status;
  status.epoch = CurrentEpoch(context_->private_store.Get()).number;
  status.commit = stats.commit;
  status.tail = stats.tail;
  status.shut_down = context_->transactions->shut_down();
  status.pending_bytes = context_->pending_bytes.load();
  status.bad = context_->region.bad().List();
  return status;
}

}  // namespace mirdax
