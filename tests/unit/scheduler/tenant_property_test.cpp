// Random tenants on random clusters, and all small ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using testing::below;
using testing::ClusterModel;
using testing::Random;
using testing::random_tenants;
using testing::Seeds;

void add_tenants_job(ClusterModel& cluster, Random& random, int number) {
  const auto min = static_cast<std::uint32_t>(1 + below(random, 4));
  const auto max = min + static_cast<std::uint32_t>(below(random, 2) * below(random, 5));
  cluster.add_job("job" + std::to_string(number), {min, max});
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
  demand.priority = kPriorities[below(random, 3)];
  if (below(random, 2) == 0) demand.lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
  const char* tenants[] = {"a", "b", "c", "c"};
  const char* queues[] = {"default", "default", "x", "y"};
  const auto leaf = below(random, 4);
  demand.tenant = tenants[leaf];
  demand.queue = queues[leaf];
  Random gpus = testing::beside(random);
  if (testing::has_gpus(cluster) && below(gpus, 2) == 0) demand.gpus = 1;
}

/// Half of those that come are not preemptible.
void make_some_fixed(ClusterModel& cluster, const Random& random) {
  Random more = testing::beside(random);
  cluster.demands.back().preemptible = below(more, 16) < 8;
}

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

/// That queues are guaranteed; none of it matters where nobody is guaranteed any.
bool are_gpus_guaranteed(const TenantTree& tree) {
  return std::ranges::any_of(tree.queues, [](const QueueSpec& queue) { return queue.guaranteed_gpus > 0; });
}

std::uint64_t count_slots(const ClusterModel& cluster) {
  std::uint64_t slots = 0;
  for (const NodeView& node : cluster.nodes) slots += node.slots;
  return slots;
}

/// And what the minimums of gangs lack that have started and are not preemptible: they keep that.
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

/// No queue above what it may have, nobody in what others do not lend, no node overfull: with all that is
/// acknowledged, so stopping workers too.
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

/// Who is preempted loses all its workers by the plan, and is given none.
void expect_preempted_as_a_whole(const ClusterModel& cluster, const Plan& plan) {
  for (const Preemption& one : plan.preemptions) {
    EXPECT_EQ(std::ranges::count(plan.releases, one.job, &Release::job), cluster.live(one.job)) << one.job;
    EXPECT_EQ(std::ranges::count(plan.placements, one.job, &Placement::job), 0) << one.job;
  }
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

/// At rest no job that needs no GPU waits for its queue's quota of GPUs, which it would leave as it is.
void expect_gpu_quotas_keep_gpus_only(const Plan& plan, const ClusterModel& cluster) {
  for (const Wait& wait : plan.waits) {
    const Reason& first = wait.reasons.front();
    if (first.code != "quota_tenant" || cluster.demand(wait.job).gpus > 0) continue;
    EXPECT_EQ(first.text.find("GPU"), std::string::npos) << first.text;
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

/// At rest, with enough slots for all guarantees and what is free not scattered: nobody waits whose minimum
/// its queue could have within all guarantees above it.
/// `with_gpus`: those that need GPUs neither, which are all on one node then. Where any are guaranteed nobody
/// is behind one that waits for them: that one has them back, or would borrow them. Where none are, slots
/// alone say whose turn it is.
void expect_guarantees_met(const ClusterModel& cluster, const Plan& plan, bool with_gpus = false) {
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

/// At rest nobody waits beside idle slots that it may have, unless somebody waits for more of them.
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

/// Jobs that are not preemptible and start beyond what their queue is guaranteed.
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

/// Whatever jobs that are not preemptible have beyond what their tenants are guaranteed, others' guarantees
/// are left.
/// `with_gpus`: no more of them are guaranteed than there are.
void expect_guarantees_can_be_had_back(const ClusterModel& cluster, bool with_gpus = false) {
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

TEST(TenantProperty, QuotasHoldAtEveryDecisionAndGuaranteesAreMetAtRest) {
  std::size_t fixed_borrow = 0, fixed_wait = 0, preemptions = 0, waits_for_quota = 0, waits_for_gpus = 0,
              waits_for_turn = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = 1 + below(random, 3);
    for (std::uint64_t i = 0; i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(1 + below(random, 6)));
    if (seed % 2 == 0) {
      for (NodeView& node : cluster.nodes) testing::add_random_gpus(node, testing::beside(random));
    }
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (int event = 0; event < 12; ++event) {
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
      add_tenants_job(cluster, random, event);
      Random parts = testing::beside(random);
      if (seed % 4 >= 2) make_some_fixed(cluster, parts);
      if (seed % 5 == 1) cluster.demands.back().slots = testing::random_part(parts);
      if (seed % 5 == 2) cluster.demands.back().slots = SlotCount::of_thousandths(500);
      if (below(random, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      if (!cluster.leases.empty() && below(random, 4) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      int rounds = 0;
      for (; rounds < 60; ++rounds) {
        const Plan plan = cluster.plan();
        expect_fair_preemptions(cluster, plan);
        preemptions += plan.preemptions.size();
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        fixed_wait += count_fixed_that_wait(plan);
        if (plan.releases.empty() && plan.placements.empty()) break;
        cluster.carry_out(plan);
        expect_quotas_kept(cluster);
        if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
        if (below(random, 2) == 0) cluster.finish_releases();
      }
      cluster.finish_releases();
      ASSERT_LE(cluster.settle(), 60) << "seed " << seed << ", event " << event << ": no rest";
      const Plan rest = cluster.plan();
      ASSERT_EQ(rest, cluster.plan());
      ASSERT_TRUE(rest.releases.empty());
      expect_guarantees_can_be_had_back(cluster);
      if (seed % 5 != 1 || nodes == 1) {  // else what is free may be scattered
        expect_guarantees_met(cluster, rest);
        expect_nothing_idle(cluster, rest);
      }
      expect_gpu_quotas_keep_gpus_only(rest, cluster);
      for (const Wait& wait : rest.waits) {
        for (const Reason& reason : wait.reasons) {
          waits_for_quota += reason.code == "quota_tenant" ? 1 : 0;
          waits_for_gpus +=
              reason.code == "quota_tenant" && reason.text.find("GPU") != std::string::npos ? 1 : 0;
          waits_for_turn += reason.code == "fair_share_turn" ? 1 : 0;
        }
      }
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(preemptions, 500U);
  EXPECT_GT(waits_for_quota, 500U);
  EXPECT_GT(waits_for_gpus, 200U);
  EXPECT_GT(waits_for_turn, 200U);
  EXPECT_GT(fixed_borrow, 200U);
  EXPECT_GT(fixed_wait, 500U);
}

/// Preemptions by one that needs GPUs of jobs whose side is within its guarantee of slots.
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

std::size_t count_waits_for_kept_gpus(const Plan& plan) {
  return static_cast<std::size_t>(std::ranges::count_if(plan.waits, [](const Wait& wait) {
    const std::string& text = wait.reasons.front().text;
    return text.find("is not preemptible: of") != std::string::npos && text.find("GPU") != std::string::npos;
  }));
}

/// As many GPUs are guaranteed as there are, or fewer; on one node all guarantees are met at rest, of GPUs
/// too, and on more all comes to rest.
TEST(TenantProperty, GuaranteesOfGpusAreMetAtRestToo) {
  std::size_t had_back = 0, kept = 0, fixed_borrow = 0, starts_within = 0;
  const Seeds seeds(2000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = seed % 3 == 0 ? 2 + below(random, 2) : 1;
    for (std::uint64_t i = 0; i < nodes; ++i) {
      const auto gpus = static_cast<std::uint32_t>(1 + below(random, nodes == 1 ? 5 : 3));
      const auto slots = static_cast<std::uint32_t>(2 * gpus + below(random, 7));
      cluster.add_gpu_node("n" + std::to_string(i), slots, gpus, "NVIDIA H200");
    }
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (QueueSpec& queue : cluster.tenants.queues) queue.guaranteed_gpus = 0;
    testing::guarantee_random_gpus(cluster.tenants, testing::beside(random), count_gpus(cluster));
    for (int event = 0; event < 12; ++event) {
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
      add_tenants_job(cluster, random, event);
      if (below(random, 2) == 0) cluster.demands.back().gpus = 1;  // of the others every second needs one
      if (seed % 4 >= 2) make_some_fixed(cluster, random);
      if (below(random, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      if (!cluster.leases.empty() && below(random, 4) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      int rounds = 0;
      for (; rounds < 60; ++rounds) {
        const Plan plan = cluster.plan();
        expect_fair_preemptions(cluster, plan);
        had_back += count_gpus_had_back(cluster, plan);
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        if (plan.releases.empty() && plan.placements.empty()) break;
        cluster.carry_out(plan);
        expect_quotas_kept(cluster);
        if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
        if (below(random, 2) == 0) cluster.finish_releases();
      }
      cluster.finish_releases();
      ASSERT_LT(cluster.settle(60), 60) << "seed " << seed << ", event " << event << ": no rest";
      const Plan rest = cluster.plan();
      kept += count_waits_for_kept_gpus(rest);
      expect_guarantees_can_be_had_back(cluster, true);
      expect_gpu_quotas_keep_gpus_only(rest, cluster);
      if (nodes == 1) {
        expect_guarantees_met(cluster, rest, true);
        const auto gpus = count_gpus_used(cluster);
        for (const Demand& one : cluster.demands) {
          const auto leaf = cluster.tenants.find(one.tenant, one.queue).value();
          starts_within +=
              one.gpus > 0 && cluster.live(one.job) > 0 && gpus[leaf] <= cluster.tenants[leaf].guaranteed_gpus
                  ? 1
                  : 0;
        }
      }
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(had_back, 100U);
  EXPECT_GT(kept, 100U);
  EXPECT_GT(fixed_borrow, 100U);
  EXPECT_GT(starts_within, 1000U);
}

/// Whatever waits for what others are guaranteed, and for others that do: once nobody comes any more all
/// start that ever can, as those end that run.
TEST(TenantProperty, AllStartSoonerOrLaterThoughHalfOfThemAreNotPreemptible) {
  std::size_t ended = 0, fixed_wait = 0;
  const Seeds seeds(500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    for (std::uint64_t i = 0, nodes = 1 + below(random, 3); i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(2 + below(random, 6)));
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (int event = 0; event < 16; ++event) {
      add_tenants_job(cluster, random, event);
      make_some_fixed(cluster, random);
      cluster.demands.back().lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
      if (!cluster.leases.empty() && below(random, 3) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      cluster.settle(60, [&](const Plan& plan) { fixed_wait += count_fixed_that_wait(plan); });
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
    }
    const std::size_t all = cluster.demands.size();
    while (true) {
      ASSERT_LT(cluster.settle(60), 60);
      std::int64_t next_ms = 0;
      for (const Demand& one : cluster.demands) {
        if (one.ends_ms > 0 && (next_ms == 0 || one.ends_ms < next_ms)) next_ms = one.ends_ms;
      }
      if (next_ms == 0) break;
      cluster.go_on_until(next_ms);
    }
    const Plan plan = cluster.plan();
    for (const Demand& left : cluster.demands) {
      const auto codes = testing::codes_of(plan, left.job);
      EXPECT_NE(std::ranges::find(codes, "never_fits"), codes.end()) << left.job << " never starts";
    }
    ended += all - cluster.demands.size();
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(ended, 2'000U);
  EXPECT_GT(fixed_wait, 300U);
}

/// Two tenants, three jobs of every shape, tenant and priority, some of which run before: all come to rest.
TEST(TenantProperty, NoSmallClusterPreemptsInCircles) {
  const std::vector<WorkerCount> shapes{{1, 1}, {1, 3}, {2, 2}, {3, 3}};
  const std::vector<std::uint32_t> priorities{kLowPriority, kHighPriority};
  const int kinds = static_cast<int>(shapes.size() * priorities.size() * 2);
  std::size_t preemptions = 0;
  for (const int guaranteed : {0, 1, 4, 6, 8}) {
    TenantTree tree;
    tree.queues[0].is_leaf = false;
    tree.queues.push_back(
        {.name = "a", .depth = 1, .guaranteed = static_cast<std::uint64_t>(guaranteed % 3)});
    tree.queues.push_back(
        {.name = "b", .depth = 1, .guaranteed = static_cast<std::uint64_t>(guaranteed / 3)});
    for (int code = 0; code < kinds * kinds * kinds; ++code) {
      for (const unsigned running : {0U, 1U, 3U, 6U}) {
        ClusterModel cluster;
        cluster.add_node("n", 4);
        cluster.tenants = tree;
        for (int job = 0, rest = code; job < 3; ++job, rest /= kinds) {
          const auto kind = static_cast<std::size_t>(rest % kinds);
          cluster.add_job(std::string(1, static_cast<char>('a' + job)), shapes[kind % shapes.size()]);
          cluster.demands.back().priority = priorities[kind / shapes.size() % 2];
          cluster.demands.back().lasts_ms = 10'000 * ((code + job) % 4);
          cluster.demands.back().tenant = kind / shapes.size() / 2 == 0 ? "a" : "b";
        }
        cluster.settle_alone(running);
        const int rounds =
            cluster.settle(40, [&](const Plan& plan) { preemptions += plan.preemptions.size(); });
        ASSERT_LT(rounds, 40) << "guaranteed " << guaranteed << ", jobs " << code << ", running " << running;
      }
    }
  }
  EXPECT_GT(preemptions, 1'000U);
}

/// Three tenants, of which one has queues at two levels; some keep more for themselves than for their queues.
/// In a fourth of them a third of its queues, `z`, is guaranteed nothing.
TenantTree random_nested_queues(Random& random, std::uint64_t slots) {
  TenantTree tree;
  const auto add = [&](const std::string& name, std::size_t parent, std::uint64_t guaranteed) {
    tree.queues[parent].is_leaf = false;
    tree.queues.push_back(
        {.name = name, .parent = parent, .depth = tree[parent].depth + 1, .guaranteed = guaranteed});
    QueueSpec& queue = tree.queues.back();
    if (below(random, 4) == 0) queue.borrowing_limit = below(random, 4);
    if (parent == 0 && below(random, 4) == 0) queue.lending_limit = below(random, guaranteed + 1);
    queue.weight = 1 + static_cast<double>(below(random, 3));
    return std::pair(tree.queues.size() - 1, guaranteed);
  };
  const auto part_of = [&](std::uint64_t all) { return below(random, all + 1); };
  const auto [a, all] = add("a", 0, slots / 2 + part_of(slots / 4));
  const auto [x, of_x] = add("x", a, all / 2 + part_of(all / 2));
  const std::uint64_t of_p = add("p", x, part_of(of_x)).second;
  add("q", x, part_of(of_x - of_p));
  add("y", a, part_of(all - of_x));
  add("b", 0, part_of(slots - all));
  add("c", 0, 0);
  if (Random more = testing::beside(random); below(more, 4) == 0) {
    tree.queues.push_back({.name = "z", .parent = a, .depth = 2});
    if (below(more, 4) == 0) tree.queues.back().borrowing_limit = below(more, 4);
  }
  return tree;
}

void add_nested_job(ClusterModel& cluster, Random& random, int number) {
  const auto min = static_cast<std::uint32_t>(1 + below(random, 3));
  cluster.add_job("job" + std::to_string(number), {min, min});
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
  demand.priority = kPriorities[below(random, 3)];
  if (demand.priority == kLowPriority) demand.workers.max += static_cast<std::uint32_t>(below(random, 4));
  if (below(random, 2) == 0) demand.lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
  const char* tenants[] = {"a", "a", "a", "b", "c"};
  const char* queues[] = {"p", "q", "y", "default", "default"};
  const auto leaf = below(random, 5);
  demand.tenant = tenants[leaf];
  demand.queue = queues[leaf];
  Random more = testing::beside(random);
  if (!cluster.tenants.find("a", "z") || below(more, 4) > 0) return;
  demand.tenant = "a";
  demand.queue = "z";
}

/// At rest nobody waits who is first in its queue and whose minimum that could have within what it is
/// guaranteed itself, whatever others of its tenant have borrowed and whoever else waits.
void expect_leaf_guarantees_met(const ClusterModel& cluster, const Plan& plan) {
  auto used = count_used(cluster);
  auto gpus = count_gpus_used(cluster);
  add_kept_minimums(cluster, used, gpus);
  for (const Wait& wait : plan.waits) {
    const Demand& demand = cluster.demand(wait.job);
    const std::size_t leaf = cluster.tenants.find(demand.tenant, demand.queue).value();
    const bool is_counted = !demand.preemptible && cluster.live(demand.job) > 0;
    const SlotCount lacks = is_counted ? 0 : demand.workers.min - cluster.live(demand.job);
    const bool is_first = std::ranges::none_of(plan.waits, [&](const Wait& other) {
      const Demand& one = cluster.demand(other.job);
      const bool same = one.tenant == demand.tenant && one.queue == demand.queue;
      return same && std::tie(one.priority, demand.order) > std::tie(demand.priority, one.order);
    });
    const QueueSpec& spec = cluster.tenants[leaf];
    // As in `expect_guarantees_met`.
    const bool has_gpus_left =
        !are_gpus_guaranteed(cluster.tenants) ||
        gpus[leaf] + (is_counted
                          ? 0
                          : std::uint64_t{demand.workers.min - cluster.live(demand.job)} * demand.gpus) <=
            spec.guaranteed_gpus;
    EXPECT_FALSE(is_first && has_gpus_left && used[leaf] + lacks <= spec.guaranteed)
        << wait.job << " could have its minimum within what " << cluster.tenants.full_name(leaf)
        << " is guaranteed";
  }
}

/// Preemptions for a job from a sister of its queue, while a job of another tenant waits.
std::size_t count_taken_from_sisters(const ClusterModel& cluster, const Plan& plan) {
  return static_cast<std::size_t>(std::ranges::count_if(plan.preemptions, [&](const Preemption& one) {
    const Demand& victim = cluster.demand(one.job);
    const Demand& by = cluster.demand(one.by);
    return victim.tenant == by.tenant && victim.queue != by.queue &&
           std::ranges::any_of(
               plan.waits, [&](const Wait& wait) { return cluster.demand(wait.job).tenant != by.tenant; });
  }));
}

/// Time goes on, a job comes, and perhaps one ends and a worker is lost.
void change_nested(ClusterModel& cluster, Random& random, int event, bool are_some_fixed, bool want_gpus) {
  cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 10'000)));
  add_nested_job(cluster, random, event);
  if (Random gpus = testing::beside(random); want_gpus && below(gpus, 2) == 0)
    cluster.demands.back().gpus = 1;
  if (are_some_fixed) make_some_fixed(cluster, random);
  if (below(random, 5) == 0)
    cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
  if (!cluster.leases.empty() && below(random, 6) == 0)
    cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
}

/// The same where GPUs are guaranteed as well, on one node.
TEST(TenantProperty, NestedQueuesHaveTheirGuaranteesOfGpusAtRestWhoeverWaits) {
  std::size_t taken_from_sisters = 0, had_back = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto slots = static_cast<std::uint32_t>(6 + below(random, 9));
    cluster.add_gpu_node("n", slots, static_cast<std::uint32_t>(2 + below(random, slots / 2)), "NVIDIA H200");
    cluster.tenants = random_nested_queues(random, slots);
    testing::guarantee_random_gpus(cluster.tenants, testing::beside(random), count_gpus(cluster));
    for (int event = 0; event < 14; ++event) {
      change_nested(cluster, random, event, seed % 2 == 1, true);
      const int rounds = cluster.settle(60, [&](const Plan& plan) {
        expect_fair_preemptions(cluster, plan);
        taken_from_sisters += count_taken_from_sisters(cluster, plan);
        had_back += count_gpus_had_back(cluster, plan);
      });
      ASSERT_LT(rounds, 60) << "seed " << seed << ", event " << event << ": no rest";
      expect_quotas_kept(cluster);
      if (are_gpus_guaranteed(cluster.tenants)) expect_leaf_guarantees_met(cluster, cluster.plan());
      expect_guarantees_can_be_had_back(cluster, true);
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(taken_from_sisters, 100U);
  EXPECT_GT(had_back, 50U);
}

TEST(TenantProperty, NestedQueuesHaveTheirGuaranteesAtRestWhoeverWaits) {
  std::size_t taken_from_sisters = 0, fixed_borrow = 0, fixed_wait = 0;
  const Seeds seeds(800);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = 1 + below(random, 3);
    for (std::uint64_t i = 0; i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(2 + below(random, 4)));
    cluster.tenants = random_nested_queues(random, count_slots(cluster));
    for (int event = 0; event < 14; ++event) {
      change_nested(cluster, random, event, seed % 2 == 1, false);
      const int rounds = cluster.settle(60, [&](const Plan& plan) {
        expect_fair_preemptions(cluster, plan);
        taken_from_sisters += count_taken_from_sisters(cluster, plan);
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        fixed_wait += count_fixed_that_wait(plan);
      });
      ASSERT_LT(rounds, 60) << "seed " << seed << ", event " << event << ": no rest";
      expect_quotas_kept(cluster);
      expect_leaf_guarantees_met(cluster, cluster.plan());
      expect_guarantees_can_be_had_back(cluster);
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(taken_from_sisters, 100U);
  EXPECT_GT(fixed_borrow, 100U);
  EXPECT_GT(fixed_wait, 300U);
}

}  // namespace
}  // namespace ds::scheduler
