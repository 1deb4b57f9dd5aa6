#pragma once

#include <cstdint>
#include <optional>

#include "actors/gateway/http_server.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::head {

/// The answer to give (429) when the job's queue may never have the slots or GPUs of `min_workers` workers;
/// also none when there is no such queue. Pure.
std::optional<gateway::HttpResponse> check_quota(const scheduler::JobSpec& spec, std::uint32_t min_workers,
                                                 const scheduler::TenantTree& tenants);

/// Whether the job's queue may never have those of `min_workers` workers, or isn't there: whatever nodes
/// there are. Pure.
bool is_beyond_quota(const scheduler::JobSpec& spec, std::uint32_t min_workers,
                     const scheduler::TenantTree& tenants);

}  // namespace ds::head
