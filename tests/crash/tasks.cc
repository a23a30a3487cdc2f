// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/tasks.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace mirdax::crash {
namespace {

Result<Task> ReadTask(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return Fail(ErrorCode::kNotFound, "{} cannot be read", path.string());
  Result<Workload> workload = ParseWorkload(text.str());
  if (!workload) {
    return Fail(ErrorCode::kInvalid, "{}: {}", path.string(), workload.error().message);
  }
  if (FindShape(workload->shape) == nullptr) {
    return Fail(ErrorCode::kInvalid, "{}: no shape '{}'", path.string(), workload->shape);
  }
  return Task{{std::move(*workload), 0}, path.string()};
}

}  // namespace

Status ReadTasks(const std::string& name, std::vector<Task>& tasks) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(name)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(name)) {
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
    }
    std::ranges::sort(files);
  } else {
    files.emplace_back(name);
  }
  for (const auto& file : files) {
    MIRDAX_ASSIGN(Task task, ReadTask(file));
    tasks.push_back(std::move(task));
  }
  return {};
}

bool Asked(std::string_view asked, const Shape& shape) {
  return shape.has_names && (asked == "all" || asked == shape.name);
}

Status CheckAsked(std::string_view asked) {
  const auto fits = [asked](const Shape& shape) { return Asked(asked, shape); };
  if (std::ranges::any_of(Shapes(), fits)) return {};
  if (FindShape(asked) != nullptr)
    return Fail(ErrorCode::kInvalid, "no workloads are generated for shape '{}': use --run", asked);
  return Fail(ErrorCode::kInvalid, "no shape '{}'", asked);
}

}  // namespace mirdax::crash
