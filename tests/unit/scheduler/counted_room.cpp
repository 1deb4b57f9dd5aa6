#include "tests/unit/scheduler/counted_room.hpp"

#include <algorithm>

namespace ds::scheduler::testing {

bool has_kind(const NodeView& node, const Demand& demand) {
  if (demand.gpus == 0 || demand.gpu_kind.empty()) return true;
  const bool is_either = demand.gpu_kind == "a100|H200";
  if (node.gpu_kind == "NVIDIA H200") return is_either || demand.gpu_kind == "h200";
  return node.gpu_kind == "NVIDIA A100-SXM4-80GB" && (is_either || demand.gpu_kind == "A100");
}

bool fits_beside(const NodeView& node, Use used, const Demand& demand) {
  used.add(demand, 1);
  return has_kind(node, demand) && used.fits(node);
}

std::map<std::string, Use> count_use(const ClusterModel& cluster, const Plan& plan) {
  std::map<std::string, Use> use;
  for (const Lease& lease : cluster.leases) {
    use[lease.node].add(lease);
  }
  for (const Placement& placement : plan.placements) {
    use[placement.node].add(cluster.demand(placement.job), placement.count);
  }
  return use;
}

std::uint64_t count_room(const ClusterModel& cluster, std::map<std::string, Use> use, const Demand& demand) {
  const bool is_together = demand.placement == PlacementRule::same_node;
  std::uint64_t sum = 0, most = 0;
  for (const NodeView& node : cluster.nodes) {
    const bool is_elsewhere = cluster.live(demand.job) > 0 && cluster.live_on(demand.job, node.id) == 0;
    if (!node.available || (is_together && is_elsewhere)) continue;
    Use& used = use[node.id];
    std::uint64_t room = 0;
    for (; fits_beside(node, used, demand); ++room) used.add(demand, 1);
    sum += room;
    most = std::max(most, room);
  }
  return is_together ? most : sum;
}

Demand in_one_piece(Demand demand) {
  if (demand.placement != PlacementRule::same_node) return demand;
  demand.slots = demand.slots * demand.workers.min;
  demand.memory_bytes *= demand.workers.min;
  demand.gpus *= demand.workers.min;
  return demand;
}

std::map<std::string, std::uint32_t> count_placed(const Plan& plan) {
  std::map<std::string, std::uint32_t> placed;
  for (const Placement& placement : plan.placements) placed[placement.job] += placement.count;
  return placed;
}

std::uint32_t count_relocated(const Plan& plan, const std::string& job) {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      plan.relocations, [&](const Relocation& one) { return one.job == job && one.has_begun; }));
}

bool is_preempted(const Plan& plan, const std::string& job) {
  return std::ranges::find(plan.preemptions, job, &Preemption::job) != plan.preemptions.end();
}

bool waits(const Plan& plan, const std::string& job) {
  return std::any_of(plan.waits.begin(), plan.waits.end(), [&](const Wait& wait) { return wait.job == job; });
}

bool can_ever_run(const ClusterModel& cluster, const Demand& demand) {
  std::map<std::string, Use> own;
  for (const Lease& lease : cluster.leases) {
    if (lease.job != demand.job || lease.releasing) continue;
    own[lease.node].add(lease);
  }
  return cluster.live(demand.job) + count_room(cluster, own, demand) >= demand.workers.min;
}

std::map<std::string, Use> use_after_releases(const ClusterModel& cluster, const Plan& plan,
                                              const std::function<bool(const Lease&)>& is_kept) {
  std::map<std::string, Use> use;
  for (const Lease& lease : cluster.leases) {
    const bool goes = lease.releasing ||
                      (!is_kept(lease) && std::ranges::find(plan.releases, lease.worker, &Release::worker) !=
                                              plan.releases.end());
    if (goes) continue;
    use[lease.node].add(lease);
  }
  std::map<std::string, std::uint32_t> minimum_left;
  for (const Demand& other : cluster.demands) {
    minimum_left[other.job] = other.workers.min - std::min(other.workers.min, cluster.live(other.job)) +
                              count_relocated(plan, other.job);
  }
  for (const Placement& placement : plan.placements) {
    const Demand& other = cluster.demand(placement.job);
    const std::uint32_t count = std::min(placement.count, minimum_left[placement.job]);
    minimum_left[placement.job] -= count;
    use[placement.node].add(other, count);
  }
  return use;
}

bool has_text(const Plan& plan, const std::string& text) {
  return std::ranges::any_of(plan.waits, [&](const Wait& wait) {
    return std::ranges::any_of(
        wait.reasons, [&](const Reason& reason) { return reason.text.find(text) != std::string::npos; });
  });
}

}  // namespace ds::scheduler::testing
