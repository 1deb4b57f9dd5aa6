#include "actors/head/quota_check.hpp"

#include <fmt/format.h>

#include <variant>

#include "actors/gateway/error_response.hpp"
#include "scheduler/policy/queue_use.hpp"

namespace ds::head {

std::optional<gateway::HttpResponse> check_quota(const scheduler::JobSpec& spec, std::uint32_t min_workers,
                                                 const scheduler::TenantTree& tenants) {
  const auto queue = tenants.find(spec.tenant, spec.queue);
  if (!queue) return std::nullopt;
  const std::uint64_t needed = std::uint64_t{min_workers} * spec.resources.cpus;
  const scheduler::QueueUse nothing(tenants, std::nullopt);
  const auto limit = nothing.find_limit(*queue, needed);
  if (!limit) return std::nullopt;
  return gateway::error_response(
      429, "refused_by_quota",
      fmt::format("the job needs {} slots at least, and {} may have {} at most", needed,
                  tenants.full_name(*limit), tenants[*limit].most().value_or(0)),
      "give workers.min a smaller number; ds-submit tenants shows the quotas");
}

}  // namespace ds::head
