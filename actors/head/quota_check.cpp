#include "actors/head/quota_check.hpp"

#include <fmt/format.h>

#include <string>
#include <variant>

#include "actors/gateway/error_response.hpp"
#include "scheduler/policy/queue_use.hpp"

namespace ds::head {
namespace {

scheduler::Room needed_by(const scheduler::JobSpec& spec, std::uint32_t min_workers) {
  return {min_workers * spec.resources.cpus, 0, std::uint64_t{min_workers} * spec.resources.gpus};
}

}  // namespace

std::optional<gateway::HttpResponse> check_quota(const scheduler::JobSpec& spec, std::uint32_t min_workers,
                                                 const scheduler::TenantTree& tenants) {
  const auto queue = tenants.find(spec.tenant, spec.queue);
  if (!queue) return std::nullopt;
  const auto needed = needed_by(spec, min_workers);
  const scheduler::QueueUse nothing(tenants, std::nullopt);
  const auto limit = nothing.find_limit(*queue, needed);
  if (!limit) return std::nullopt;
  const bool is_of_gpus = nothing.is_gpu_limit(*queue, needed);
  const auto most = is_of_gpus ? tenants[*limit].gpu_limit : tenants[*limit].most();
  return gateway::error_response(
      429, "refused_by_quota",
      fmt::format("the job needs {} {} at least, and {} may have {} at most",
                  is_of_gpus ? std::to_string(needed.gpus) : number_text(needed.slots),
                  is_of_gpus ? "GPUs" : "slots", tenants.full_name(*limit), most.value_or(0)),
      "give workers.min a smaller number; ds-submit tenants shows the quotas");
}

bool is_beyond_quota(const scheduler::JobSpec& spec, std::uint32_t min_workers,
                     const scheduler::TenantTree& tenants) {
  const auto queue = tenants.find(spec.tenant, spec.queue);
  return !queue || scheduler::QueueUse(tenants, std::nullopt)
                       .find_limit(*queue, needed_by(spec, min_workers))
                       .has_value();
}

}  // namespace ds::head
