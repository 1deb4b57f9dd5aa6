#pragma once

#include <vector>

#include "scheduler/policy/capacity.hpp"

namespace ds::scheduler {

/// The same once for each kind of GPU that it may have, the most wanted first; of one kind, or any, itself.
/// Pure.
std::vector<WorkerSize> sizes_by_kind(const WorkerSize& size);

}  // namespace ds::scheduler
