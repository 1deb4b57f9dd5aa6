#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// Most queues that a file may have, and levels of them below the root.
inline constexpr std::size_t kMaxQueues = 1000;
inline constexpr std::size_t kMaxQueueDepth = 8;

/// Parses a file that describes tenants (YAML):
///
///     version: 1
///     tenants:
///       nlp: {guaranteed: 8, borrowing_limit: 4, lending_limit: 6, guaranteed_gpus: 2, gpu_limit: 4}
///       vision:
///         queues:
///           prod: {guaranteed: 6}
///           dev: {guaranteed: 2}
///
/// A queue without `guaranteed` is guaranteed what the queues below it are together; those may not be
/// guaranteed more than it is. Only tenants have a `lending_limit`. Names are unique within a tenant. All
/// faults are reported, with their places.
std::variant<TenantTree, std::vector<SpecError>> parse_tenant_file(std::string_view text);

}  // namespace ds::scheduler
