// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/shapes.h"

#include <algorithm>
#include <utility>

#include "fs/format/geometry.h"
#include "mkfs/format_region.h"

namespace mirdax::crash {
namespace {

std::vector<Operation> Names() {
  return Lines(
             "mkdir A 0755\n"
             "mkdir B 0755\n"
             "mkdir A/d 0755\n"
             "mkdir B/e 0755\n"
             "create A/f 0644\n"
             "write A/f 0 9000 1001\n"
             "setxattr A/f user.a 40 1002\n"
             "symlink A/l target\n"
             "create B/g 0600\n"
             "write B/g 0 100 1003\n"
             "create f 0644\n"
             "write f 0 6000 1004\n"
             "syncall\n")
      .operations;
}

Shape Plain() {
  return {.name = "plain", .what = "nothing is scarce", .build = Names(), .prelude = {}};
}

// For workloads that were written elsewhere, and make what they need.
Shape Empty() {
  return {.name = "empty",
          .what = "just made: nothing is in it",
          .build = {},
          .prelude = {},
          .has_names = false};
}

Shape Synced() {
  return {.name = "synced",
          .what = "mounted with -o sync",
          .build = Names(),
          .prelude = {},
          .sync_always = true};
}

Shape Journal() {
  Shape shape{
      .name = "journal",
      .what = "the next records wrap around the end of the journal, and a checkpoint is due",
      .build = Names(),
      .prelude = {}};
  shape.journal_left = 256 * 1024 + 600;  // what the prelude uses, and then a little
  shape.journal_used = 256 * 1024 - 2000;
  return shape;
}

Shape Full() {
  Shape shape{.name = "full",
              .what = "few blocks and two inodes are left",
              .build = Names(),
              .prelude = {}};
  shape.inode_count = 16;
  shape.blocks_left = 6;
  shape.inodes_left = 2;
  return shape;
}

// A leaf of a directory takes 4064 bytes; a name of n bytes takes 26 and n rounded up to 8.
Shape Directory() {
  Shape shape{.name = "directory",
              .what = "one more name splits the only leaf of directory A",
              .build = Names(),
              .prelude = {}};
  const auto link = [&shape](const std::string& name) {
    shape.build.push_back({.kind = OpKind::kLink, .path = "f", .other = "A/" + name});
  };
  for (int i = 0; i < 17; ++i) link(std::string(196, 'N') + std::to_string(10 + i));
  for (int i = 0; i < 3; ++i) link("s" + std::to_string(i));
  return shape;
}

// Unwritten blocks behind the end of file: extents without bytes to compare.
void AddExtents(Shape& shape, const std::string& file, uint64_t first_block, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    shape.build.push_back({.kind = OpKind::kFallocate,
                           .path = file,
                           .offset = (first_block + 2 * i) * kBlockSize,
                           .length = kBlockSize,
                           .flag = OpFlag::kKeepSize});
  }
}

Shape Extents() {
  Shape shape{.name = "extents",
              .what = "one more extent splits the root of B/g and the only leaf of A/f",
              .build = Names(),
              .prelude = {}};
  AddExtents(shape, "B/g", 4, 4);
  AddExtents(shape, "A/f", 4, 168);
  return shape;
}

// A leaf of extents holds 169, and looks for a neighbour to merge with when it has fewer than 42.
Shape Merge() {
  Shape shape{.name = "merge",
              .what = "one extent fewer merges the two leaves of A/f; few fewer fit B/g's inode",
              .build = Names(),
              .prelude = {}};
  // Block 1 lies elsewhere: each of the first three is an extent.
  const Workload apart = Lines("punch A/f 4096 4096\nsyncall\nwrite A/f 4096 4096 1020\nsyncall\n");
  shape.build.insert(shape.build.end(), apart.operations.begin(), apart.operations.end());
  AddExtents(shape, "B/g", 4, 5);
  AddExtents(shape, "A/f", 4, 166 + 20);
  constexpr uint64_t kFirst = 4 + 2 * 39;  // blocks: what is before stays
  constexpr uint64_t kLast = 4 + 2 * 165;  // the left leaf's
  shape.build.push_back({.kind = OpKind::kPunch,
                         .path = "A/f",
                         .offset = kFirst * kBlockSize,
                         .length = (kLast + 1 - kFirst) * kBlockSize});
  return shape;
}

Shape Quarantine() {
  Shape shape{.name = "quarantine",
              .what = "most free blocks and inodes wait for a checkpoint",
              .build = Names(),
              .prelude = {}};
  const Workload more = Lines(
      "create q0 0600\nwrite q0 0 24576 1010\n"
      "create q1 0600\nwrite q1 0 24576 1011\nsyncall\n");
  shape.build.insert(shape.build.end(), more.operations.begin(), more.operations.end());
  shape.inode_count = 16;
  shape.blocks_left = 2;
  shape.prelude = Lines("unlink q0\nunlink q1\nsyncall\n").operations;
  return shape;
}

// Does operations to the volume and to the model alike.
class Builder {
 public:
  Builder(MountedImage& mounted, State& state)
      : mounted_(mounted), executor_(mounted.volume()), state_(state) {}

  Status Do(const Operation& operation) {
    mounted_.clock().Set(SecondsAt(0));
    if (const Result<uint64_t> done = executor_.Do(operation); !done) {
      return Fail(ErrorCode::kInvalid, "{}: {} {}", PrintOperation(operation),
                  ErrorCodeName(done.error().code), done.error().message);
    }
    if (const auto refused = state_.Apply(operation, 0)) {
      return Fail(ErrorCode::kInvalid, "{}: the model says {}", PrintOperation(operation),
                  ErrorCodeName(*refused));
    }
    return {};
  }
  Status DoAll(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) MIRDAX_TRY(Do(operation));
    return {};
  }

  Status LeaveInodes(uint64_t left) {
    MIRDAX_ASSIGN(const SpaceReport space, mounted_.volume().Space());
    for (uint64_t i = left; i < space.inodes_free; ++i) {
      MIRDAX_TRY(Do({.kind = OpKind::kMknod,
                     .path = "p" + std::to_string(i),
                     .mode = 0600,
                     .flag = OpFlag::kFifo}));
    }
    return {};
  }
  Status LeaveBlocks(uint64_t left) {
    MIRDAX_TRY(Do({.kind = OpKind::kCreate, .path = "big", .mode = 0600}));
    MIRDAX_TRY(Do({.kind = OpKind::kSyncAll}));
    MIRDAX_ASSIGN(const SpaceReport space, mounted_.volume().Space());
    return Do({.kind = OpKind::kFallocate,
               .path = "big",
               .length = (space.blocks_available - left) * kBlockSize,
               .flag = OpFlag::kKeepSize});
  }
  Status LeaveJournal(uint64_t left) {
    const uint64_t size = mounted_.pool().geometry().journal.length;
    const auto now = [&] { return size - mounted_.volume().GetStatus().commit % size; };
    while (now() > left) MIRDAX_TRY(Fill(now() - left > 8 * kBlockSize));
    return {};
  }
  Status UseJournal(uint64_t used) {
    const auto now = [&] {
      const VolumeStatus status = mounted_.volume().GetStatus();
      return status.commit - status.tail;
    };
    while (now() < used) MIRDAX_TRY(Fill(used - now() > 2 * kBlockSize));
    return {};
  }

 private:
  // One commit, of a block of attributes or of one inode. (Storing the same again commits nothing.)
  Status Fill(bool much) {
    if (much) {
      MIRDAX_TRY(Do({.kind = OpKind::kSetXattr,
                     .path = "B",
                     .other = "user.fill",
                     .length = 3500,
                     .tag = 2000 + ++fills_ % 2}));
    } else {
      const uint32_t mode = ++fills_ % 2 == 0 ? 0755 : 0750;
      MIRDAX_TRY(Do({.kind = OpKind::kChmod, .path = "B", .mode = mode}));
    }
    return Do({.kind = OpKind::kSyncAll});
  }

  MountedImage& mounted_;
  Executor executor_;
  State& state_;
  uint64_t fills_ = 0;
};

// The same bytes each time: seeded, and by our clock.
Result<std::unique_ptr<ImageRegion>> Format(const Shape& shape) {
  MIRDAX_ASSIGN(auto region, ImageRegion::Create(std::vector<std::byte>(kMinPoolSize)));
  FormatOptions options;
  options.geometry.journal_size = kMinJournalSize;
  options.geometry.inode_count = shape.inode_count;
  SeededRandom random(1);
  StepClock clock;
  clock.Set(SecondsAt(0));
  MIRDAX_TRY(FormatRegion(*region, options, random, clock));
  return region;
}

Status BuildOn(ImageRegion& region, const Shape& shape, State& state) {
  MIRDAX_ASSIGN(const auto mounted, MountedImage::Open(region));
  MIRDAX_TRY(mounted->Recover());
  MIRDAX_TRY(mounted->Mount());
  Builder builder(*mounted, state);
  MIRDAX_TRY(builder.DoAll(shape.build));
  if (shape.blocks_left) MIRDAX_TRY(builder.LeaveBlocks(*shape.blocks_left));
  if (shape.inodes_left) MIRDAX_TRY(builder.LeaveInodes(*shape.inodes_left));
  if (shape.journal_left) MIRDAX_TRY(builder.LeaveJournal(*shape.journal_left));
  return mounted->volume().Unmount();
}

}  // namespace

const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {Plain(),   Synced(), Journal(),    Full(), Directory(),
                                            Extents(), Merge(),  Quarantine(), Empty()};
  return shapes;
}

const Shape* FindShape(std::string_view name) {
  const auto shape = std::ranges::find(Shapes(), name, &Shape::name);
  return shape == Shapes().end() ? nullptr : &*shape;
}

Result<std::unique_ptr<ShapedPool>> ShapedPool::Build(
    const Shape& shape, const std::function<Status(ImageRegion&)>& finish) {
  MIRDAX_ASSIGN(auto region, Format(shape));
  State state;
  if (Status built = BuildOn(*region, shape, state); !built) {
    return Fail(ErrorCode::kInvalid, "shape {}: {}", shape.name, built.error().message);
  }
  if (finish) MIRDAX_TRY(finish(*region));
  // A fresh region, so that levels begin with what was built.
  MIRDAX_ASSIGN(region, ImageRegion::Create(region->memory()));
  return std::unique_ptr<ShapedPool>(new ShapedPool(shape, std::move(region), std::move(state)));
}

Result<std::unique_ptr<MountedImage>> ShapedPool::Mount(State* state, const Connect& connect) {
  *state = state_;
  MIRDAX_ASSIGN(auto mounted, MountedImage::Open(*region_));
  mounted->set_faults(faults_);
  MIRDAX_TRY(mounted->Recover());
  if (connect) {
    MIRDAX_ASSIGN(auto sink, connect(*mounted));
    MIRDAX_TRY(mounted->Mount(std::move(sink), shape_.sync_always));
  } else {
    MIRDAX_TRY(mounted->Mount(shape_.sync_always));
  }
  Builder builder(*mounted, *state);
  MIRDAX_TRY(builder.DoAll(shape_.prelude));
  if (shape_.journal_used) MIRDAX_TRY(builder.UseJournal(*shape_.journal_used));
  state->Settle();
  return mounted;
}

}  // namespace mirdax::crash
