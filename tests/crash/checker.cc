// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/checker.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "tests/crash/in_flight.h"
#include "tests/crash/mounted_image.h"
#include "tests/crash/subsets.h"
#include "tools/fsck/check.h"

namespace mirdax::crash {
namespace {

class Stopwatch {
 public:
  // Adds the time since the last call, or since the beginning.
  void Lap(uint64_t& total) {
    const auto now = std::chrono::steady_clock::now();
    total += static_cast<uint64_t>(std::chrono::nanoseconds(now - last_).count());
    last_ = now;
  }
  void Skip() { last_ = std::chrono::steady_clock::now(); }  // what another watch has timed

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::string Words(std::string_view step, const Error& error) {
  return fmt::format("{}: {} ({})", step, error.message, ErrorCodeName(error.code));
}

std::optional<std::string> Fsck(ImageRegion& region, std::string_view when) {
  fsck::CheckOptions options;
  options.paths = false;
  const Result<fsck::FsckReport> report = fsck::CheckPool(region, options);
  if (!report) return Words(fmt::format("fsck {}", when), report.error());
  if (report->clean() && report->contents_checked) return std::nullopt;
  std::string text = fmt::format("fsck {}:", when);
  for (const fsck::Finding& finding : report->findings.kept()) text += " " + finding.text + ";";
  return text;
}

// What lies behind the end of a file is nobody's to see: a file that grows shows zeros there, even
// where an append that did not survive had stored something.
std::optional<std::string> GrowFiles(Volume& volume, const Observation& seen) {
  for (const auto& [ino, node] : seen.nodes) {
    const uint64_t size = node.attributes.size;
    if (!S_ISREG(node.attributes.mode) || size % kBlockSize == 0) continue;
    AttributeChange change;
    change.size = (size / kBlockSize + 1) * kBlockSize;
    if (const auto grown = volume.SetAttributes(ino, change); !grown) {
      return Words(fmt::format("growing inode {}", ino), grown.error());
    }
    bool zeros = true;
    const Status read = volume.Read(ino, size, kBlockSize, [&](auto spans) {
      for (const auto& span : spans)
        zeros = zeros && std::ranges::all_of(span, [](std::byte b) { return b == std::byte{0}; });
    });
    if (!read) return Words(fmt::format("reading inode {} after it grew", ino), read.error());
    if (!zeros) return fmt::format("inode {} shows old bytes behind its old end of {}", ino, size);
  }
  return std::nullopt;
}

}  // namespace

CheckStats& CheckStats::operator+=(const CheckStats& other) {
  images += other.images;
  recovery_images += other.recovery_images;
  refused += other.refused;
  promote_ns += other.promote_ns;
  recover_ns += other.recover_ns;
  again_ns += other.again_ns;
  fsck_ns += other.fsck_ns;
  mount_ns += other.mount_ns;
  read_ns += other.read_ns;
  judge_ns += other.judge_ns;
  unmount_ns += other.unmount_ns;
  return *this;
}

Result<bool> Checker::Promote(const Takeover::How& how, Recovered* recovered) {
  if (takeover_ == nullptr) return true;
  Stopwatch watch;
  Result<bool> promoted = takeover_->Run(region_, how);
  if (recovered != nullptr) recovered->promoted_events = region_.log_size();
  watch.Lap(stats_.promote_ns);
  return promoted;
}

Status Checker::Mount(MountedImage& image) {
  if (!connect_) return image.Mount();
  MIRDAX_ASSIGN(auto sink, connect_(image));
  return image.Mount(std::move(sink));
}

Checker::Reason Checker::RecoverAgain(std::span<const std::byte> before, Takeover::How how) {
  Stopwatch watch;
  const bool logging = region_.set_logging(false);
  region_.Begin();
  const auto recover = [&]() -> Reason {
    const auto mounted = MountedImage::Open(region_);
    if (!mounted) return Words("opening it again", mounted.error());
    if (const Status done = (*mounted)->Recover(); !done)
      return Words("recovering it again", done.error());
    return std::nullopt;
  };
  Reason bad = recover();
  if (!bad && region_.stored()) bad = "recovering again finds something to do";
  const std::span<const std::byte> now = region_.memory().subspan(kPrivateBlockOffset);
  if (!bad && !std::ranges::equal(before, now.first(before.size()))) {
    for (uint64_t at = 0; at < before.size(); at += kLineSize)
      region_.Put(kPrivateBlockOffset + at, before.subspan(at).first<kLineSize>());
    how.serve = false;
    const Result<bool> promoted = takeover_ == nullptr ? true : takeover_->Run(region_, how);
    bad = promoted ? recover() : Words("promoting it again", promoted.error());
    if (!bad && region_.ChangedOutsidePrivate())
      bad = "recovering all of it again gives other bytes";
  }
  region_.Undo();
  region_.set_logging(logging);
  watch.Lap(stats_.again_ns);
  return bad;
}

Checker::Reason Checker::Recover(Moment moment, const CheckDepth& depth, Recovered* recovered) {
  std::array<std::byte, 2 * kBlockSize> before;  // private blocks
  std::ranges::copy(region_.memory().subspan(kPrivateBlockOffset, before.size()), before.begin());
  const Result<bool> promoted = Promote(depth.takeover, recovered);
  if (!promoted) return Words("promotion", promoted.error());
  refused_ = !*promoted;
  if (refused_) return std::nullopt;
  Stopwatch watch;
  auto mounted = MountedImage::Open(region_);
  if (!mounted) return Words("open", mounted.error());
  if (const Status done = (*mounted)->Recover(); !done) return Words("recovery", done.error());
  if (recovered != nullptr) {
    recovered->hash = region_.HashWithoutPrivate();
    recovered->log_events = region_.log_size();
  }
  watch.Lap(stats_.recover_ns);
  if (Reason bad = RecoverAgain(before, depth.takeover)) return bad;
  watch.Skip();
  if (Reason bad = Fsck(region_, "after the recovery")) return bad;
  watch.Lap(stats_.fsck_ns);
  if (const Status done = Mount(**mounted); !done) return Words("mount", done.error());
  watch.Lap(stats_.mount_ns);
  const Result<Observation> seen = Observe((*mounted)->volume());
  if (!seen) return Words("reading everything", seen.error());
  watch.Lap(stats_.read_ns);
  if (Reason bad = legal_.Judge(*seen, moment)) return bad;
  watch.Lap(stats_.judge_ns);
  if (!depth.unmount) return std::nullopt;
  if (recovered == nullptr) {  // else crashes after this would be looked at too
    if (Reason bad = GrowFiles((*mounted)->volume(), *seen)) return bad;
  }
  if (const Status done = (*mounted)->volume().Unmount(); !done) {
    return Words("unmount", done.error());
  }
  if ((*mounted)->private_store().Get().clean != 1) return "the unmounted pool is not clean";
  mounted->reset();
  Reason bad = Fsck(region_, "after the unmount");
  watch.Lap(stats_.unmount_ns);
  return bad;
}

Checker::Reason Checker::NotPromoted() {
  if (takeover_ == nullptr) return std::nullopt;
  const auto store = PrivateStore::Open(region_);
  if (!store) return Words("open", store.error());
  if ((*store)->Get().role == Role::kPrimary) return std::nullopt;
  return "the promotion that was reported is not durable";
}

Checker::Reason Checker::CrashAgain(Moment moment, const CheckDepth& depth,
                                    const std::vector<RegionEvent>& log, const Recovered& first) {
  InFlight in_flight(region_);
  for (size_t at = 0; at < log.size(); ++at) {
    if (log[at].kind == RegionEvent::Kind::kDrain) {
      const std::vector<FlyingLine> lines = in_flight.Lines();
      const Subsets subsets(lines, depth.seed + at);
      for (const uint64_t number : subsets.Choose(depth.recovery)) {
        ++stats_.recovery_images;
        region_.Begin();
        Land(region_, lines, subsets.At(number));
        Recovered again;
        CheckDepth once;
        once.takeover.may_refuse = depth.takeover.may_refuse;
        Reason bad;
        if (at >= first.promoted_events) bad = NotPromoted();
        if (!bad) bad = Recover(moment, once, &again);
        region_.Undo();
        if (!bad && at < first.log_events && again.hash != first.hash) {
          bad = "recovering again gives other bytes";
        }
        if (bad) {
          return fmt::format("after a crash at fence {} of the recovery, subset {}: {}", at, number,
                             *bad);
        }
      }
    }
    in_flight.Replay(log[at]);
  }
  return std::nullopt;
}

Checker::Reason Checker::Check(Moment moment, const CheckDepth& depth) {
  ++stats_.images;
  region_.Begin();
  Recovered first;
  if (depth.recovery != 0) region_.StartLog();
  Reason bad = Recover(moment, depth, depth.recovery != 0 ? &first : nullptr);
  const bool refused = !bad && refused_;
  if (refused) ++stats_.refused;
  const std::vector<RegionEvent> log = region_.TakeLog();
  region_.Undo();
  if (bad || depth.recovery == 0) return bad;
  region_.Begin();
  bad = CrashAgain(moment, depth, log, first);
  region_.Undo();
  refused_ = refused;
  return bad;
}

}  // namespace mirdax::crash
