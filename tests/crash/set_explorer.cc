// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/set_explorer.h"

#include <algorithm>
#include <chrono>

#include "tests/crash/current_case.h"
#include "tests/crash/orders.h"
#include "tests/crash/set_cuts.h"

namespace mirdax::crash {

namespace {

uint64_t Now() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

Result<std::unique_ptr<ReplicationSink>> SetExplorer::ConnectAlone(MountedImage& primary) {
  alone_.emplace(std::vector<std::unique_ptr<ImageRegion>>(), ReplicaOptions{});
  MIRDAX_ASSIGN(auto sink, alone_->Connect(primary, 0, true));
  const PrivateBlock block = primary.private_store().Get();
  for (const Member& member : block.members) {
    if (member.state == MemberState::kInSync)
      return Fail(ErrorCode::kCorrupt, "mounted without its mirrors, it still lists one in sync");
  }
  return std::unique_ptr<ReplicationSink>(std::move(sink));
}

std::optional<Failure> SetExplorer::Explore(const Workload& workload,
                                            const ExploreOptions& options) {
  ++stats_.workloads;
  return workload.clients() == 0 ? ExploreOne(workload, options)
                                 : ExploreClients(workload, options);
}

Failure SetExplorer::FailedRun(const Workload& workload, const Error& why) {
  Failure failure{.workload = workload, .moment = {}, .reason = why.message};
  if (on_failure_) on_failure_(failure, set_.primary().region().memory());
  return failure;
}

std::optional<Failure> SetExplorer::ExploreAll(const Workload& workload, const Workload& ran,
                                               const std::vector<CopyLog>& copies,
                                               const LegalStates& legal, const Takeover& takeover,
                                               ExploreOptions options) {
  std::optional<Failure> failure;
  uint64_t copy = kPrimaryCopy;
  const Explorer::OnFailure report = [&](const Failure& found, std::span<const std::byte> image) {
    failure = found;
    failure->workload = workload;  // as it was asked for: the scenario adds to it again
    failure->copy = copy;
    if (on_failure_) on_failure_(*failure, image);
  };
  const auto wanted = [&](uint64_t each) {
    copy = each;
    CurrentCase::SetCopy(each);
    return !failure && (!options.copy || *options.copy == each);
  };
  if (options.images_per_workload != 0)
    options.images_per_workload =
        std::max<uint64_t>(1, options.images_per_workload / copies.size());
  Explorer explorer(set_.primary(), distinct_, stats_, report);
  for (size_t i = 1; i < copies.size(); ++i)
    if (wanted(i - 1)) (void)explorer.ExploreCopy(ran, copies[i], legal, options);
  if (wanted(kPrimaryCopy)) (void)explorer.ExploreCopy(ran, copies.front(), legal, options);
  if (copies.size() > 1 && wanted(kAllCopies))
    (void)SetCuts(set_, stats_, report).Explore(ran, copies, legal, takeover, options);
  return failure;
}

std::optional<Failure> SetExplorer::ExploreOne(const Workload& workload,
                                               const ExploreOptions& asked) {
  ExploreOptions options = asked;
  // Where one is lost, earlier crash points are not those of another workload.
  if (MirrorsOf(scenario_) != 1) options.first_operation = 0;
  const uint64_t begun = Now();
  const Result<SetRecording> recording = RecordSet(set_, workload, scenario_, options.seed);
  stats_.record_ns += Now() - begun;
  if (!recording) return FailedRun(workload, recording.error());
  const Takeover takeover(recording->epochs);
  std::vector<std::vector<CrashPoint>> points = {recording->primary.Points()};
  for (const Recording& mirror : recording->mirrors) points.push_back(mirror.Points());
  const auto connect = [this](MountedImage& image) { return ConnectAlone(image); };
  std::vector<CopyLog> copies = {{.region = set_.primary().region(),
                                  .log = recording->primary.log,
                                  .points = points.front(),
                                  .connect = connect}};
  for (size_t i = 0; i < recording->mirrors.size(); ++i)
    copies.push_back({*set_.mirrors()[i], recording->mirrors[i].log, points[i + 1], &takeover});
  return ExploreAll(workload, recording->workload, copies, Oracle(recording->primary.history),
                    takeover, options);
}

std::optional<Failure> SetExplorer::ExploreClients(const Workload& workload,
                                                   const ExploreOptions& options) {
  const uint64_t begun = Now();
  const Result<InterleavedRun> run =
      RecordClients(set_, workload, ReplicasOf(workload, scenario_, options.seed));
  stats_.record_ns += Now() - begun;
  if (!run) return FailedRun(workload, run.error());
  Orders orders(*run);
  const Status found =
      Explorer(set_.primary(), distinct_, stats_, {}).Explain(workload, *run, orders);
  if (!found) return FailedRun(workload, found.error());
  const Takeover takeover(run->epochs);
  const auto connect = [this](MountedImage& image) { return ConnectAlone(image); };
  std::vector<CopyLog> copies = {{.region = set_.primary().region(),
                                  .log = run->log,
                                  .points = run->points,
                                  .connect = connect}};
  for (size_t i = 0; i < run->mirrors.size(); ++i)
    copies.push_back({*set_.mirrors()[i], run->mirrors[i].log, run->mirrors[i].points, &takeover});
  return ExploreAll(workload, workload, copies, orders, takeover, options);
}

}  // namespace mirdax::crash
