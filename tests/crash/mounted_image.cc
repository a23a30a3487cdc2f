// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/mounted_image.h"

#include <utility>

#include "fs/core/recovery.h"
#include "tests/crash/refusing_allocator.h"

namespace mirdax::crash {

Result<std::unique_ptr<ImagePool>> ImagePool::Open(Region& region) {
  MIRDAX_ASSIGN(const SuperblockPair pair, SuperblockPair::Load(region));
  return std::unique_ptr<ImagePool>(new ImagePool(region, pair));
}

Result<std::unique_ptr<MountedImage>> MountedImage::Open(Region& region) {
  MIRDAX_ASSIGN(auto pool, ImagePool::Open(region));
  MIRDAX_ASSIGN(auto store, PrivateStore::Open(region));
  return std::unique_ptr<MountedImage>(new MountedImage(std::move(pool), std::move(store)));
}

Status MountedImage::Recover() {
  MIRDAX_TRY(RecoverPool(*pool_, *private_store_));
  return {};
}

Status MountedImage::Mount(ReplicationSink& sink, bool sync_always) {
  VolumeOptions options;
  options.noatime = true;
  options.sync_always = sync_always;
  options.background = false;
  if (faults_ != nullptr) {
    options.allocator_seam = [this](std::unique_ptr<Allocator> real) {
      return std::make_unique<RefusingAllocator>(std::move(real), *faults_);
    };
  }
  MIRDAX_ASSIGN(volume_, Volume::Mount(*pool_, *private_store_, sink, clock_, random_, options));
  return {};
}

}  // namespace mirdax::crash
