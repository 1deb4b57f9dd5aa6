#pragma once

#include <span>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// Workers that leave because queues have more slots or GPUs than they may, since a quota was lowered; they
/// are marked as releasing in `leases`.
///
/// Who goes, from the deepest such queue up: below it the leaf that has most beyond what it is guaranteed for
/// its weight, at each level on the way; there first workers above minimums, of the least urgent job, of
/// equals of the one that loses least by it; then whole gangs, the last of the line first; those with a
/// promise only when nobody else below that queue can give. None goes whose queues may have it beside those
/// that stay. As where a queue takes back what it is guaranteed, jobs that are not `preemptible` keep what
/// they have, and so do those of queues that `tenants` doesn't name; unlike there nobody is spared for having
/// started just now, since this happens once. Slots that others do not lend any more are had back by who is
/// guaranteed them, when it wants them. Workers that are leaving already count as gone. Pure.
std::vector<Release> release_over_quota(std::vector<Lease>& leases, std::span<const Demand> demands,
                                        const TenantTree& tenants);

}  // namespace ds::scheduler
