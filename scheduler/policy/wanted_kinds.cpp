#include "scheduler/policy/wanted_kinds.hpp"

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

}  // namespace ds::scheduler
