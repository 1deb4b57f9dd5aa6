#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/gang_job.hpp"

namespace ds::scheduler {

/// The same once for each kind of GPU that it may have, the most wanted first; of one kind, or any, itself.
/// Pure.
std::vector<WorkerSize> sizes_by_kind(const WorkerSize& size);

/// The job's size by kind, for `count` workers more: first the kinds of which there is room for all of them,
/// of these those that it has already, then as it wants them. Pure.
std::vector<WorkerSize> kinds_to_place(const Capacity& capacity, const GangJob& job, std::uint32_t count);

}  // namespace ds::scheduler
