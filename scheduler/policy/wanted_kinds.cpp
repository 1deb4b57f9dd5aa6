#include "scheduler/policy/wanted_kinds.hpp"

#include <algorithm>
#include <utility>

#include "scheduler/spec/gpu_kind_name.hpp"

namespace ds::scheduler {

std::vector<WorkerSize> sizes_by_kind(const WorkerSize& size) {
  std::vector<WorkerSize> sizes;
  for (const std::string_view kind : split_gpu_kinds(size.gpu_kind)) {
    sizes.push_back(size);
    sizes.back().gpu_kind = kind;
  }
  if (sizes.empty()) sizes.push_back(size);
  return sizes;
}

std::vector<WorkerSize> kinds_to_place(const Capacity& capacity, const GangJob& job, std::uint32_t count) {
  std::vector<WorkerSize> kinds = sizes_by_kind(job.size);
  if (kinds.size() == 1) return kinds;
  const auto is_there = [&](const WorkerSize& kind) {
    return std::ranges::any_of(job.at, [&](const auto& entry) {
      return capacity.fitting(entry.first, capacity.total(entry.first), kind) > 0;
    });
  };
  std::ranges::stable_sort(kinds, {}, [&](const WorkerSize& kind) {
    return std::pair(capacity.count_placeable(kind) < count, !is_there(kind));
  });
  return kinds;
}

}  // namespace ds::scheduler
