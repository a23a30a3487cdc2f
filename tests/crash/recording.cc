// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/recording.h"

#include <algorithm>

namespace mirdax::crash {
namespace {

std::string_view CodeName(const std::optional<ErrorCode>& code) {
  return code ? ErrorCodeName(*code) : "success";
}

}  // namespace

Status DoStep(MountedImage& mounted, Executor& executor, History& history, Operation operation,
              bool scarce) {
  const uint32_t index = history.size() + 1;
  mounted.clock().Set(SecondsAt(index));
  const Result<uint64_t> answer = executor.Do(operation);
  std::optional<ErrorCode> answered;
  if (!answer) answered = answer.error().code;
  if (answer && *answer < operation.length && scarce && StoresBytes(operation.kind)) {
    operation.length = *answer;  // space ran out
  }
  const std::optional<ErrorCode> wanted = history.Add(operation, answer.has_value());
  if (answered == wanted) return {};
  if (scarce && answered == ErrorCode::kNoSpace && !wanted) return {};
  return Fail(ErrorCode::kCorrupt, "operation {} ({}) answered {} ({}), the model says {}", index,
              PrintOperation(operation), CodeName(answered), answer ? "" : answer.error().message,
              CodeName(wanted));
}

std::vector<CrashPoint> Recording::Points() const {
  std::vector<CrashPoint> points;
  if (spans.empty()) return points;
  const auto add = [&](size_t events, uint64_t sequence, uint32_t begun, uint32_t returned) {
    while (returned > 0 && !listed.empty() && !listed[returned - 1]) --returned;
    const bool filling =
        events < log.size() && log[events].sequence > fill_begin && log[events].sequence < fill_end;
    points.push_back({events, {begun, returned}, filling, sequence});
  };
  const auto add_between = [&](size_t begin, size_t end, uint32_t begun, uint32_t returned) {
    for (size_t at = begin; at < end; ++at) {
      if (log[at].kind == RegionEvent::Kind::kDrain || std::ranges::binary_search(posts, at))
        add(at, log[at].sequence - 1, begun, returned);
    }
  };
  add(spans.front().begin, spans.front().begun_at, 0, 0);
  for (uint32_t index = 1; index <= spans.size(); ++index) {
    const Span& span = spans[index - 1];
    add_between(span.begin, span.end, index, index - 1);
    add(span.end, span.returned_at, index, index);
    add_between(span.end, index < spans.size() ? spans[index].begin : log.size(), index, index);
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
    Recording recording{.history = History(std::move(state), pool.shape().sync_always
                                                                 ? History::Synced::kEverything
                                                                 : History::Synced::kNothing)};
    Executor executor(mounted->volume());
    for (const Operation& operation : workload.operations) {
      const size_t begin = region.log_size();
      MIRDAX_TRY(DoStep(*mounted, executor, recording.history, operation, pool.shape().scarce()));
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
