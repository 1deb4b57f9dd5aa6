#include "tests/unit/scheduler/tenant_expectations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <type_traits>

namespace ds::scheduler::testing {
namespace {

/// What is used by queue, stopping workers included, counted here and not with the code under test.
template <class AmountOf, class Amount = std::invoke_result_t<AmountOf, const Lease&>>
std::vector<Amount> count_used(const ClusterModel& cluster, AmountOf amount_of) {
  std::vector<Amount> used(cluster.tenants.queues.size(), 0);
  for (const Lease& lease : cluster.leases) {
    for (std::size_t queue = cluster.tenants.find(lease.tenant, lease.queue).value();;
         queue = cluster.tenants[queue].parent) {
      used[queue] += amount_of(lease);
      if (queue == 0) break;
    }
  }
  return used;
}

/// Who is preempted loses all its workers by the plan, and is given none.
void expect_preempted_as_a_whole(const ClusterModel& cluster, const Plan& plan) {
  for (const Preemption& one : plan.preemptions) {
    EXPECT_EQ(std::ranges::count(plan.releases, one.job, &Release::job), cluster.live(one.job)) << one.job;
    EXPECT_EQ(std::ranges::count(plan.placements, one.job, &Placement::job), 0) << one.job;
  }
}

/// Whether any guarantee on its way has slots for its minimum.
bool could_be_within_slots(const ClusterModel& cluster, const Demand& demand) {
  for (std::size_t queue = cluster.tenants.find(demand.tenant, demand.queue).value(); queue != 0;
       queue = cluster.tenants[queue].parent) {
    if (demand.workers.min * demand.slots <= cluster.tenants[queue].guaranteed) return true;
  }
  return false;
}

/// Whether one comes first, or its turn does, that is guaranteed the slots and waits for GPUs: nobody is
/// guaranteed where those are, so it may keep back those who are within a guarantee of slots.
bool is_behind_gpus(const ClusterModel& cluster, const Wait& wait) {
  return std::ranges::any_of(wait.reasons, [&](const Reason& reason) {
    return (reason.code == "fair_share_turn" || reason.code == "priority_behind") &&
           std::ranges::any_of(reason.blocking, [&](const std::string& job) {
             const Demand& first = cluster.demand(job);
             return first.gpus > 0 && could_be_within_slots(cluster, first);
           });
  });
}

}  // namespace

void add_kept_minimums(const ClusterModel& cluster, std::vector<SlotCount>& used,
                       std::vector<std::uint64_t>& gpus) {
  for (const Demand& demand : cluster.demands) {
    const std::uint32_t has = cluster.live(demand.job);
    if (demand.preemptible || has == 0 || has >= demand.workers.min) continue;
    for (std::size_t queue = cluster.tenants.find(demand.tenant, demand.queue).value(); queue != 0;
         queue = cluster.tenants[queue].parent) {
      used[queue] += (demand.workers.min - has) * demand.slots;
      gpus[queue] += std::uint64_t{demand.workers.min - has} * demand.gpus;
    }
  }
}

void make_some_fixed(ClusterModel& cluster, const Random& random) {
  Random more = testing::beside(random);
  cluster.demands.back().preemptible = below(more, 16) < 8;
}

std::vector<SlotCount> count_used(const ClusterModel& cluster) {
  return count_used(cluster, [](const Lease& lease) { return lease.slots; });
}

std::vector<std::uint64_t> count_gpus_used(const ClusterModel& cluster) {
  return count_used(cluster,
                    [](const Lease& lease) { return static_cast<std::uint64_t>(lease.devices.size()); });
}

std::uint64_t count_gpus(const ClusterModel& cluster) {
  std::uint64_t gpus = 0;
  for (const NodeView& node : cluster.nodes) gpus += node.gpus;
  return gpus;
}

bool are_gpus_guaranteed(const TenantTree& tree) {
  return std::ranges::any_of(tree.queues, [](const QueueSpec& queue) { return queue.guaranteed_gpus > 0; });
}

std::uint64_t count_slots(const ClusterModel& cluster) {
  std::uint64_t slots = 0;
  for (const NodeView& node : cluster.nodes) slots += node.slots;
  return slots;
}

void expect_quotas_kept(const ClusterModel& cluster) {
  const auto used = count_used(cluster);
  const auto gpus = count_used(cluster, [](const Lease& lease) { return lease.devices.size(); });
  SlotCount held;
  for (std::size_t i = 1; i < used.size(); ++i) {
    const QueueSpec& queue = cluster.tenants[i];
    if (queue.borrowing_limit) {
      EXPECT_LE(used[i], queue.guaranteed + *queue.borrowing_limit) << cluster.tenants.full_name(i);
    }
    if (queue.gpu_limit) {
      EXPECT_LE(gpus[i], *queue.gpu_limit) << cluster.tenants.full_name(i);
    }
    const std::uint64_t unlent = queue.lending_limit ? queue.guaranteed - *queue.lending_limit : 0;
    if (queue.depth == 1) held += std::max<SlotCount>(used[i], unlent);
  }
  EXPECT_LE(held, count_slots(cluster)) << "somebody has what is not lent";
  std::map<std::string, SlotCount> on;
  for (const Lease& lease : cluster.leases) on[lease.node] += lease.slots;
  for (const NodeView& node : cluster.nodes) EXPECT_LE(on[node.id], node.slots);
}

void expect_fair_preemptions(const ClusterModel& cluster, const Plan& plan) {
  expect_preempted_as_a_whole(cluster, plan);
  auto used = count_used(cluster);  // and what the plan gives, and keeps for those whose room is coming
  auto gpus = count_gpus_used(cluster);
  const bool by_gpus = are_gpus_guaranteed(cluster.tenants);
  const auto give = [&](const Demand& demand, std::uint32_t workers) {
    for (std::size_t queue = cluster.tenants.find(demand.tenant, demand.queue).value(); queue != 0;
         queue = cluster.tenants[queue].parent) {
      used[queue] += workers * demand.slots;
      gpus[queue] += std::uint64_t{workers} * demand.gpus;
    }
  };
  for (const Placement& placement : plan.placements) give(cluster.demand(placement.job), placement.count);
  for (const Wait& wait : plan.waits) {
    const Demand& demand = cluster.demand(wait.job);
    if (wait.room_is_coming) give(demand, std::max(1U, demand.workers.min) - cluster.live(demand.job));
  }
  for (const Preemption& one : plan.preemptions) {
    const Demand& victim = cluster.demand(one.job);
    const Demand& by = cluster.demand(one.by);
    const std::size_t a = cluster.tenants.find(by.tenant, by.queue).value();
    const std::size_t b = cluster.tenants.find(victim.tenant, victim.queue).value();
    if (a == b) {
      EXPECT_LT(victim.priority, by.priority) << victim.job << " by " << by.job;
      continue;
    }
    const auto meeting = cluster.tenants.meet(a, b);
    const QueueSpec& own = cluster.tenants[meeting.a_side];
    const QueueSpec& others = cluster.tenants[meeting.b_side];
    const bool is_gpu_borrowed = by_gpus && victim.gpus > 0 && gpus[meeting.b_side] > others.guaranteed_gpus;
    EXPECT_TRUE(used[meeting.b_side] > others.guaranteed || is_gpu_borrowed)
        << victim.job << " has not borrowed";
    EXPECT_LE(by.workers.min * by.slots, own.guaranteed) << by.job << " borrows itself";
    if (by_gpus) {
      EXPECT_LE(by.workers.min * by.gpus, own.guaranteed_gpus) << by.job << " borrows GPUs itself";
    }
  }
}

void expect_gpu_quotas_keep_gpus_only(const Plan& plan, const ClusterModel& cluster) {
  for (const Wait& wait : plan.waits) {
    const Reason& first = wait.reasons.front();
    if (first.code != "quota_tenant" || cluster.demand(wait.job).gpus > 0) continue;
    EXPECT_EQ(first.text.find("GPU"), std::string::npos) << first.text;
  }
}

void expect_guarantees_met(const ClusterModel& cluster, const Plan& plan, bool with_gpus) {
  auto used = count_used(cluster);
  auto gpus = count_gpus_used(cluster);
  add_kept_minimums(cluster, used, gpus);
  const bool by_gpus = are_gpus_guaranteed(cluster.tenants);
  for (const Wait& wait : plan.waits) {
    const Demand& demand = cluster.demand(wait.job);
    if (!with_gpus && demand.gpus > 0) continue;
    if ((!with_gpus || !by_gpus) && is_behind_gpus(cluster, wait)) continue;
    const std::size_t leaf = cluster.tenants.find(demand.tenant, demand.queue).value();
    // What comes before it in its queue, and has more GPUs than that is guaranteed, leaves it nothing of
    // that.
    bool within = !by_gpus || gpus[leaf] <= cluster.tenants[leaf].guaranteed_gpus;
    for (std::size_t queue = leaf; queue != 0; queue = cluster.tenants[queue].parent) {
      within = within && used[queue] + demand.workers.min * demand.slots <= cluster.tenants[queue].guaranteed;
      within = within && (demand.gpus == 0 || gpus[queue] + std::uint64_t{demand.workers.min} * demand.gpus <=
                                                  cluster.tenants[queue].guaranteed_gpus);
    }
    const bool is_first = std::ranges::none_of(plan.waits, [&](const Wait& other) {
      const Demand& one = cluster.demand(other.job);
      const bool same = one.tenant == demand.tenant && one.queue == demand.queue;
      return same && std::tie(one.priority, demand.order) > std::tie(demand.priority, one.order);
    });
    EXPECT_FALSE(within && is_first) << wait.job << " could have its minimum within what is guaranteed";
  }
}

void expect_nothing_idle(const ClusterModel& cluster, const Plan& plan) {
  const auto used = count_used(cluster);
  const SlotCount idle = count_slots(cluster) - used[0];
  for (const Wait& wait : plan.waits) {
    const auto codes = testing::codes_of(plan, wait.job);
    EXPECT_FALSE(codes.empty());
    const bool waits_for_others = std::ranges::any_of(codes, [](const std::string& code) {
      return code == "quota_tenant" || code == "priority_behind" || code == "fair_share_turn";
    });
    if (!waits_for_others && cluster.demand(wait.job).gpus == 0) {
      EXPECT_LT(idle, cluster.demand(wait.job).workers.min * cluster.demand(wait.job).slots) << wait.job;
    }
  }
}

std::size_t count_fixed_that_borrow(const ClusterModel& cluster, const Plan& plan) {
  const auto used = count_used(cluster);
  return static_cast<std::size_t>(std::ranges::count_if(plan.placements, [&](const Placement& one) {
    const Demand& demand = cluster.demand(one.job);
    const auto leaf = cluster.tenants.find(demand.tenant, demand.queue).value();
    return !demand.preemptible && used[leaf] + one.count * demand.slots > cluster.tenants[leaf].guaranteed;
  }));
}

std::size_t count_fixed_that_wait(const Plan& plan) {
  return static_cast<std::size_t>(std::ranges::count_if(plan.waits, [](const Wait& wait) {
    return wait.reasons.front().text.find("such jobs have") != std::string::npos;
  }));
}

void expect_guarantees_can_be_had_back(const ClusterModel& cluster, bool with_gpus) {
  ClusterModel fixed = cluster;
  std::erase_if(fixed.leases, [&](const Lease& lease) { return cluster.demand(lease.job).preemptible; });
  const auto used = count_used(fixed);
  const auto gpus = count_gpus_used(fixed);
  std::vector<SlotCount> below(used.size());
  std::vector<std::uint64_t> gpus_below(used.size());
  for (std::size_t queue = used.size() - 1; queue > 0; --queue) {
    const QueueSpec& spec = cluster.tenants[queue];
    const SlotCount held = spec.is_leaf ? used[queue] : below[queue];
    if (const auto most = spec.most()) {
      EXPECT_LE(held, *most) << cluster.tenants.full_name(queue);
    }
    below[spec.parent] += std::max<SlotCount>(held, spec.guaranteed);
    const std::uint64_t gpus_held = spec.is_leaf ? gpus[queue] : gpus_below[queue];
    if (spec.gpu_limit && are_gpus_guaranteed(cluster.tenants)) {
      EXPECT_LE(gpus_held, *spec.gpu_limit) << cluster.tenants.full_name(queue);
    }
    gpus_below[spec.parent] += std::max(gpus_held, spec.guaranteed_gpus);
  }
  EXPECT_LE(below[0], count_slots(cluster));
  if (with_gpus) {
    EXPECT_LE(gpus_below[0], count_gpus(cluster));
  }
}

std::size_t count_gpus_had_back(const ClusterModel& cluster, const Plan& plan) {
  const auto used = count_used(cluster);
  return static_cast<std::size_t>(std::ranges::count_if(plan.preemptions, [&](const Preemption& one) {
    const Demand& victim = cluster.demand(one.job);
    const Demand& by = cluster.demand(one.by);
    const auto meeting = cluster.tenants.meet(cluster.tenants.find(by.tenant, by.queue).value(),
                                              cluster.tenants.find(victim.tenant, victim.queue).value());
    return by.gpus > 0 && meeting.b_side != meeting.at &&
           used[meeting.b_side] <= cluster.tenants[meeting.b_side].guaranteed;
  }));
}

}  // namespace ds::scheduler::testing
