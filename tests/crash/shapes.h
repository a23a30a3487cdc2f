// SPDX-License-Identifier: BSD-2-Clause
// The volumes that workloads start on: small, and each awkward in its own way.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/executor.h"
#include "tests/crash/image_region.h"
#include "tests/crash/model.h"
#include "tests/crash/mounted_image.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

// Made by real operations only. All shapes but `empty` have these names, so that a workload runs on
// any:
//
//     A/          f: 9000 bytes, attribute user.a   d/: empty   l: symbolic link
//     B/          g: 100 bytes                      e/: empty
//     f           6000 bytes
struct Shape {
  std::string name;
  std::string what;                // one line for people
  std::vector<Operation> build;    // done once; then the volume is unmounted
  std::vector<Operation> prelude;  // done after each mount, before the workload; ends durable
  uint64_t inode_count = 64;
  bool sync_always = false;  // mounted with -o sync
  // Without them no generated workload runs on it, only files that say so.
  bool has_names = true;
  // A file takes all other blocks that data may have, other files all inodes.
  std::optional<uint64_t> blocks_left = {};
  std::optional<uint64_t> inodes_left = {};
  // Bytes between the commit word and the ring's end; between the tail and the commit word.
  std::optional<uint64_t> journal_left = {};
  std::optional<uint64_t> journal_used = {};

  bool scarce() const noexcept { return blocks_left || inodes_left; }
};

const std::vector<Shape>& Shapes();
const Shape* FindShape(std::string_view name);  // null: there is none

// A pool of a shape, ready to be mounted again and again.
//
// Threads: one at a time.
class ShapedPool {
 public:
  // `finish` may change the pool further, once it is unmounted.
  // Errors: an operation of the shape failed, or `finish`.
  static Result<std::unique_ptr<ShapedPool>> Build(
      const Shape& shape, const std::function<Status(ImageRegion&)>& finish = {});

  ImageRegion& region() { return *region_; }
  const Shape& shape() const noexcept { return shape_; }
  // Of the mounts from now on; null: none. Outlives them.
  void set_faults(Faults* faults) { faults_ = faults; }

  // Makes, of a recovered image, what its mount sends its batches to.
  using Connect = std::function<Result<std::unique_ptr<ReplicationSink>>(MountedImage&)>;
  // Mounts the pool and does the shape's prelude. Whatever is stored belongs to the region's level
  // of the caller. `state` becomes the model of what is there, all of it durable.
  Result<std::unique_ptr<MountedImage>> Mount(State* state, const Connect& connect = {});

 private:
  ShapedPool(const Shape& shape, std::unique_ptr<ImageRegion> region, State state)
      : shape_(shape), region_(std::move(region)), state_(std::move(state)) {}

  const Shape& shape_;
  const std::unique_ptr<ImageRegion> region_;
  const State state_;  // after `build`
  Faults* faults_ = nullptr;
};

}  // namespace mirdax::crash
