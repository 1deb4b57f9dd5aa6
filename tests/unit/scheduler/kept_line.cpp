#include "tests/unit/scheduler/kept_line.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/unit/scheduler/counted_room.hpp"

namespace ds::scheduler::testing {
namespace {

bool is_available(const ClusterModel& cluster, const Lease& lease) {
  const auto node = std::ranges::find(cluster.nodes, lease.node, &NodeView::id);
  return node != cluster.nodes.end() && node->available;
}

/// What is used at a moment when all gangs that have a limit ran as long as it allows, those that the plan
/// starts too; of others those workers count as gone that may be taken back for `first`: the newest above the
/// minimum, whether they were there before the plan or not.
std::map<std::string, Use> use_at(const ClusterModel& cluster, const Plan& plan, const Demand& first,
                                  std::int64_t moment_ms) {
  ClusterModel then = cluster;
  then.carry_out(plan);
  then.finish_releases();
  std::map<std::string, std::uint32_t> may_go;
  for (const Demand& demand : then.demands) {
    const std::uint32_t live = then.live(demand.job);
    if (demand.job != first.job && demand.preemptible && demand.priority <= first.priority)
      may_go[demand.job] = live - std::min(live, demand.workers.min);
  }
  std::map<std::string, Use> use;
  for (auto lease = then.leases.rbegin(); lease != then.leases.rend(); ++lease) {
    const auto demand = std::ranges::find(then.demands, lease->job, &Demand::job);
    const bool is_over = demand != then.demands.end() && demand->job != first.job && demand->ends_ms > 0 &&
                         demand->ends_ms <= moment_ms;
    if (is_over) continue;
    if (is_available(then, *lease) && may_go[lease->job] > 0) {
      --may_go[lease->job];
      continue;
    }
    use[lease->node].add(*lease);
  }
  return use;
}

bool fits_at(const ClusterModel& cluster, const Plan& plan, const Demand& first, std::int64_t moment_ms) {
  return cluster.live(first.job) + count_room(cluster, use_at(cluster, plan, first, moment_ms), first) >=
         first.workers.min;
}

/// The earliest moment at which a job fits for sure; none: nobody knows.
std::optional<std::int64_t> moment_of(const ClusterModel& cluster, const Plan& plan, const Demand& first) {
  std::set<std::int64_t> moments{cluster.now_ms};
  for (const Demand& demand : cluster.demands) {
    if (demand.ends_ms > 0) moments.insert(std::max(demand.ends_ms, cluster.now_ms));
    if (demand.lasts_ms > 0) moments.insert(cluster.now_ms + demand.lasts_ms);
  }
  for (const std::int64_t moment : moments) {
    if (fits_at(cluster, plan, first, moment)) return moment;
  }
  return std::nullopt;
}

/// Whether the node's GPUs, once free, and nothing else say how many pieces of `first` there can be beside
/// all that stays after the plan; so it need not care for who uses no GPU.
bool is_limited_by_gpus_alone(const ClusterModel& cluster, const Plan& plan, const NodeView& node,
                              const Demand& first) {
  const Demand piece = in_one_piece(first);
  if (piece.gpus == 0) return false;
  Use used;
  for (const Lease& lease : cluster.leases) {
    const bool leaves = lease.releasing || std::ranges::find(plan.releases, lease.worker, &Release::worker) !=
                                               plan.releases.end();
    if (lease.node == node.id && !leaves) used.add(lease);
  }
  for (const Placement& placement : plan.placements) {
    if (placement.node == node.id) used.add(cluster.demand(placement.job), placement.count);
  }
  used.gpus = 0;
  std::uint64_t pieces = 0;
  for (; fits_beside(node, used, piece); ++pieces) used.add(piece, 1);
  return pieces == node.gpus / piece.gpus;
}

/// `first` waits; `plan` is without growth, `whole` with it.
void expect_no_delay(const ClusterModel& cluster, const Plan& plan, const Plan& whole, const Demand& first,
                     const std::set<std::string>& behind, Overtaking& seen) {
  Plan without = plan;
  std::erase_if(without.placements,
                [&](const Placement& one) { return behind.contains(one.job) && cluster.live(one.job) == 0; });
  const bool overtake = without.placements.size() < plan.placements.size();
  seen.overtakers += overtake ? 1 : 0;
  const auto moment = moment_of(cluster, without, first);
  if (!moment) {
    std::vector<Placement> newcomers;
    for (const Placement& one : plan.placements) {
      if (!behind.contains(one.job) || cluster.live(one.job) > 0) continue;
      newcomers.push_back(one);
      const auto node = std::ranges::find(cluster.nodes, one.node, &NodeView::id);
      if (cluster.demand(one.job).gpus == 0 && is_limited_by_gpus_alone(cluster, plan, *node, first))
        ++seen.beside_gpus;
    }
    ClusterModel before = cluster;
    before.carry_out(without);
    EXPECT_FALSE(is_ever_in_the_way(before, first, newcomers))
        << newcomers.front().job << " and others start where " << first.job << " could start at any moment";
    return;
  }
  ++seen.kept_moments;
  EXPECT_TRUE(fits_at(cluster, plan, first, *moment)) << first.job << " is delayed beyond " << *moment;
  if (first.slots == 1 && first.memory_bytes == 0 && first.gpus == 0 &&
      first.placement != PlacementRule::same_node) {
    EXPECT_TRUE(fits_at(cluster, whole, first, *moment)) << first.job << " is delayed by growth";
  }
  for (const Wait& wait : plan.waits) {  // no slot stays idle that one of those could have had
    const Demand& demand = cluster.demand(wait.job);
    if (!behind.contains(wait.job) || demand.workers.min != 1 || cluster.live(wait.job) > 0) continue;
    if (demand.held || !can_ever_run(cluster, demand) || is_preempted(plan, wait.job)) continue;
    for (const NodeView& node : cluster.nodes) {
      Plan more = plan;
      more.placements.push_back({wait.job, node.id, 1});
      if (!node.available || !has_kind(node, demand) || !count_use(cluster, more).at(node.id).fits(node))
        continue;
      ++seen.kept_beside_idle;
      EXPECT_FALSE(fits_at(cluster, more, first, *moment))
          << wait.job << " could start on " << node.id << " and would not delay " << first.job;
    }
  }
}

}  // namespace

bool is_ever_in_the_way(const ClusterModel& cluster, const Demand& first,
                        const std::vector<Placement>& more) {
  std::vector<Lease> leases = cluster.leases;
  std::erase_if(leases, [](const Lease& lease) { return lease.releasing; });
  std::ranges::sort(leases, std::greater(), &Lease::worker);
  for (const Demand& demand : cluster.demands) {
    const std::uint32_t live = cluster.live(demand.job), needed = std::max(1U, demand.workers.min);
    if (!demand.preemptible || demand.priority > first.priority) continue;
    for (std::uint32_t extra = live - std::min(live, needed); extra > 0; --extra) {
      const auto newest = std::ranges::find_if(leases, [&](const Lease& lease) {
        return lease.job == demand.job && is_available(cluster, lease);
      });
      if (newest != leases.end()) leases.erase(newest);
    }
  }
  std::vector<std::string> running;
  for (const Lease& lease : leases) {
    if (std::ranges::find(running, lease.job) == running.end()) running.push_back(lease.job);
  }
  const auto fits = [&](const std::map<std::string, Use>& use) {
    return count_room(cluster, use, in_one_piece(first)) >=
           (first.placement == PlacementRule::same_node ? 1 : std::max(1U, first.workers.min));
  };
  for (unsigned gone = 0; gone < 1U << running.size(); ++gone) {
    std::map<std::string, Use> use;
    for (const Lease& lease : leases) {
      const auto which = std::ranges::find(running, lease.job) - running.begin();
      if ((gone >> static_cast<unsigned>(which) & 1U) == 0) use[lease.node].add(lease);
    }
    if (!fits(use)) continue;
    for (const Placement& one : more) use[one.node].add(cluster.demand(one.job), one.count);
    if (!fits(use)) return true;
  }
  return false;
}

void expect_the_line_kept(const ClusterModel& cluster, const Plan& whole, Overtaking& seen) {
  ClusterModel rigid = cluster;
  for (Demand& demand : rigid.demands)
    demand.workers.max = std::max(demand.workers.min, rigid.live(demand.job));
  const Plan plan = rigid.plan();
  std::vector<Demand> line(rigid.demands);
  std::sort(line.begin(), line.end(), [](const Demand& a, const Demand& b) {
    return std::tie(b.priority, a.order) < std::tie(a.priority, b.order);
  });
  const auto first = std::ranges::find_if(line, [&](const Demand& demand) {
    return rigid.live(demand.job) == 0 && waits(plan, demand.job) && !demand.held &&
           can_ever_run(rigid, demand);
  });
  if (first == line.end()) return;
  const bool is_partial_ahead = std::any_of(line.begin(), first, [&](const Demand& demand) {
    return rigid.live(demand.job) > 0 && waits(plan, demand.job);
  });
  if (!is_partial_ahead) {
    EXPECT_LT(count_room(rigid, count_use(rigid, plan), *first), first->workers.min)
        << first->job << " waits beside idle slots";
  }
  std::set<std::string> behind;
  for (auto one = first + 1; one != line.end(); ++one) behind.insert(one->job);
  // Slots that are becoming free, and those of gangs too young to be preempted, have a user already.
  const bool is_soon = has_text(plan, "it starts when") || has_text(plan, "not run for");
  // Gangs that lack workers are not kept back, and keep others back as well.
  const bool is_any_partial =
      std::ranges::any_of(plan.waits, [&](const Wait& wait) { return rigid.live(wait.job) > 0; });
  if (is_soon || is_any_partial || !plan.releases.empty()) return;
  expect_no_delay(rigid, plan, whole, *first, behind, seen);
}

}  // namespace ds::scheduler::testing
