// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/recording.h"

namespace mirdax::crash {
namespace {

std::string_view CodeName(const std::optional<ErrorCode>& code) {
  return code ? ErrorCodeName(*code) : "success";
}

bool StoresBytes(OpKind kind) {
  return kind == OpKind::kWrite || kind == OpKind::kAppend || kind == OpKind::kMmapStore ||
         kind == OpKind::kCopy;
}

// Does one operation to the volume and to the model; they must agree.
// Where space is `scarce`, it may do less, or nothing.
Status Step(MountedImage& mounted, Executor& executor, Recording& recording, Operation operation,
            bool scarce) {
  const uint32_t index = recording.history.size() + 1;
  mounted.clock().Set(SecondsAt(index));
  const Result<uint64_t> answer = executor.Do(operation);
  std::optional<ErrorCode> answered;
  if (!answer) answered = answer.error().code;
  if (answer && *answer < operation.length && scarce && StoresBytes(operation.kind)) {
    operation.length = *answer;  // space ran out
  }
  const std::optional<ErrorCode> wanted = recording.history.Add(operation, answer.has_value());
  if (answered == wanted) return {};
  if (scarce && answered == ErrorCode::kNoSpace && !wanted) return {};
  return Fail(ErrorCode::kCorrupt, "operation {} ({}) answered {} ({}), the model says {}", index,
              PrintOperation(operation), CodeName(answered), answer ? "" : answer.error().message,
              CodeName(wanted));
}

}  // namespace

std::vector<CrashPoint> Recording::Points() const {
  std::vector<CrashPoint> points;
  if (spans.empty()) return points;
  points.push_back({spans.front().begin, {}});
  for (uint32_t index = 1; index <= spans.size(); ++index) {
    const Span& span = spans[index - 1];
    for (size_t at = span.begin; at < span.end; ++at) {
      if (log[at].kind == RegionEvent::Kind::kDrain) points.push_back({at, {index, index - 1}});
    }
    points.push_back({span.end, {index, index}});
  }
  return points;
}

Result<Recording> Record(ShapedPool& pool, const Workload& workload) {
  ImageRegion& region = pool.region();
  region.Begin();
  region.StartLog();
  const auto run = [&]() -> Result<Recording> {
    State state;
    MIRDAX_ASSIGN(const auto mounted, pool.Mount(&state));
    Recording recording{
        .history = History(std::move(state), pool.shape().sync_always), .log = {}, .spans = {}};
    Executor executor(mounted->volume());
    for (const Operation& operation : workload.operations) {
      const size_t begin = region.log_size();
      MIRDAX_TRY(Step(*mounted, executor, recording, operation, pool.shape().scarce()));
      recording.spans.push_back({begin, region.log_size()});
    }
    return recording;
  };
  Result<Recording> recording = run();
  std::vector<RegionEvent> log = region.TakeLog();
  region.Undo();
  if (recording) recording->log = std::move(log);
  return recording;
}

}  // namespace mirdax::crash
