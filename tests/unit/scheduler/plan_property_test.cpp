#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/counted_room.hpp"
#include "tests/unit/scheduler/kept_line.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

constexpr std::uint64_t kSeeds = 2000;

/// No node is promised more than it has left, and nothing is placed where nothing may be.
void expect_no_slot_twice(const ClusterModel& cluster, const Plan& plan) {
  const auto use = count_use(cluster, plan);
  for (const Placement& placement : plan.placements) {
    const auto node = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                   [&](const NodeView& n) { return n.id == placement.node; });
    ASSERT_NE(node, cluster.nodes.end());
    EXPECT_TRUE(node->available);
    EXPECT_GT(placement.count, 0U);
    EXPECT_TRUE(use.at(placement.node).fits(*node)) << placement.node;
    EXPECT_TRUE(has_kind(*node, cluster.demand(placement.job))) << placement.job << " on " << placement.node;
  }
}

/// The workers of a job that must be on one node are.
void expect_together(const ClusterModel& cluster, const Plan& plan, std::size_t& seen) {
  std::map<std::string, std::set<std::string>> nodes;
  for (const Lease& lease : cluster.leases) {
    if (!lease.releasing) nodes[lease.job].insert(lease.node);
  }
  for (const Placement& placement : plan.placements) nodes[placement.job].insert(placement.node);
  for (const auto& [job, on] : nodes) {
    const auto demand = std::ranges::find(cluster.demands, job, &Demand::job);
    if (demand == cluster.demands.end() || demand->placement != PlacementRule::same_node) continue;
    EXPECT_EQ(on.size(), 1U) << job;
    ++seen;
  }
}

/// One whose workers are to be spread has two on no node while another had room for one of them, as far as
/// that can be told: where nothing else changes.
void expect_spread(const ClusterModel& cluster, const Plan& plan, std::size_t& seen) {
  if (plan.placements.empty() || !plan.releases.empty() || !plan.waits.empty()) return;
  for (const Placement& placement : plan.placements) {
    const Demand& demand = cluster.demand(placement.job);
    if (demand.placement != PlacementRule::spread) continue;
    std::map<std::string, std::uint32_t> on;
    for (const Placement& one : plan.placements) on[one.node] += one.job == demand.job ? one.count : 0;
    for (const NodeView& node : cluster.nodes) on[node.id] += cluster.live_on(demand.job, node.id);
    if (on.at(placement.node) < 2) continue;
    for (const NodeView& node : cluster.nodes) {
      if (!node.available || on.at(node.id) > 0) continue;
      ++seen;
      EXPECT_FALSE(fits_beside(node, count_use(cluster, plan)[node.id], demand))
          << demand.job << " has " << on.at(placement.node) << " workers on " << placement.node
          << ", none on " << node.id;
    }
  }
}

/// Gangs whole or not at all, nobody above its maximum, held jobs left alone.
void expect_gangs_kept_whole(const ClusterModel& cluster, const Plan& plan) {
  for (const auto& [job, count] : count_placed(plan)) {
    const Demand& demand = cluster.demand(job);
    EXPECT_GE(cluster.live(job) + count, demand.workers.min) << job;
    EXPECT_LE(cluster.live(job) + count - count_relocated(plan, job), demand.workers.max) << job;
    EXPECT_FALSE(demand.held) << job;
  }
}

/// For whose equal share the job gives workers; null: it gives none for that.
const Demand* beneficiary_of(const ClusterModel& cluster, const Plan& plan, const std::string& job) {
  const auto change = std::ranges::find(plan.resizes, job, &SizeChange::job);
  const bool gives = change != plan.resizes.end() && !change->in_favour_of.empty();
  return gives ? &cluster.demand(change->in_favour_of) : nullptr;
}

void expect_releases_only_of_what_can_be_spared(const ClusterModel& cluster, const Plan& plan) {
  std::map<std::string, std::uint32_t> released;
  std::set<std::uint64_t> workers;
  for (const Release& release : plan.releases) {
    EXPECT_TRUE(workers.insert(release.worker).second) << "released twice";
    const auto lease = std::find_if(cluster.leases.begin(), cluster.leases.end(),
                                    [&](const Lease& l) { return l.worker == release.worker; });
    ASSERT_NE(lease, cluster.leases.end());
    EXPECT_EQ(lease->job, release.job);
    EXPECT_FALSE(lease->releasing);
    ++released[release.job];
  }
  std::uint32_t most_urgent = 0;  // of those that wait
  for (const Wait& wait : plan.waits) most_urgent = std::max(most_urgent, cluster.demand(wait.job).priority);
  const auto placed = count_placed(plan);
  for (const auto& [job, all] : released) {
    const Demand& demand = cluster.demand(job);
    const std::uint32_t count = all - count_relocated(plan, job);
    if (count == 0) continue;
    EXPECT_FALSE(placed.contains(job)) << job << " shrinks and grows at once";
    if (is_preempted(plan, job)) continue;
    if (cluster.live(job) >= demand.workers.min) {  // else it is stalled, and what it has is of no use to it
      EXPECT_LT(demand.workers.min, demand.workers.max) << job << " is not elastic";
      EXPECT_GE(cluster.live(job), demand.workers.min + count) << job;
      EXPECT_TRUE(demand.preemptible) << job;
      const Demand* equal = beneficiary_of(cluster, plan, job);
      EXPECT_LE(demand.priority, equal != nullptr ? equal->priority : most_urgent)
          << job << " shrinks for a less urgent one";
    }
  }
  if (plan.waits.empty()) {
    for (const Release& release : plan.releases)
      EXPECT_NE(beneficiary_of(cluster, plan, release.job), nullptr) << "released for nobody";
  }
}

/// Whole jobs go only for one that waits and is strictly more urgent, and none that could stay.
void expect_preemptions_only_where_needed(const ClusterModel& cluster, const Plan& plan) {
  std::set<std::string> preempted;
  for (const Preemption& preemption : plan.preemptions) {
    EXPECT_TRUE(preempted.insert(preemption.job).second) << preemption.job << " is preempted twice";
    const Demand& victim = cluster.demand(preemption.job);
    const Demand& by = cluster.demand(preemption.by);
    EXPECT_LT(victim.priority, by.priority) << victim.job << " by " << by.job;
    EXPECT_TRUE(victim.preemptible) << victim.job;
    EXPECT_TRUE(!victim.is_young || by.priority >= kCriticalPriority) << victim.job << " has just started";
    EXPECT_TRUE(waits(plan, by.job) && !by.held && can_ever_run(cluster, by)) << by.job;
    const auto gone = std::ranges::count(plan.releases, victim.job, &Release::job);
    EXPECT_EQ(gone, cluster.live(victim.job)) << victim.job << " is preempted in part";
    // Room may be kept for a started gang that lacks workers as well as for the first that waits; whose is
    // whose can't be told then.
    const bool for_others = std::ranges::any_of(plan.waits, [&](const Wait& wait) {
      const bool has_room = std::ranges::any_of(wait.reasons, [](const Reason& reason) {
        return reason.text.find("it starts when") != std::string::npos;
      });
      return wait.job != by.job && (cluster.live(wait.job) > 0 || has_room) && !is_preempted(plan, wait.job);
    });
    if (for_others) continue;
    const auto with_victim =
        use_after_releases(cluster, plan, [&](const Lease& lease) { return lease.job == victim.job; });
    EXPECT_LT(cluster.live(by.job) + count_room(cluster, with_victim, by), by.workers.min)
        << victim.job << " could stay";
    const auto without = use_after_releases(cluster, plan, [](const Lease&) { return false; });
    EXPECT_GE(cluster.live(by.job) + count_room(cluster, without, by), by.workers.min)
        << by.job << " would not start all the same";
  }
}

/// With nobody waiting, no slot is idle that a started job could use.
void expect_no_idle_slot(const ClusterModel& cluster, const Plan& plan) {
  if (!plan.waits.empty() || !plan.releases.empty()) return;
  ClusterModel after = cluster;
  after.carry_out(plan);
  for (const Demand& demand : cluster.demands) {
    if (demand.held || after.live(demand.job) >= demand.workers.max) continue;
    EXPECT_EQ(count_room(after, count_use(after, {}), demand), 0U) << demand.job << " could grow";
  }
}

/// Whoever has less than its minimum has a reason, with numbers, and nobody else has.
void expect_reasons(const ClusterModel& cluster, const Plan& plan) {
  const std::set<std::string> codes{"no_capacity_now", "never_fits",      "priority_behind",
                                    "memory",          "gpu_type",        "topology",
                                    "drain",           "backoff_restart", "gang_partial"};
  const auto placed = count_placed(plan);
  for (const Demand& demand : cluster.demands) {
    const auto added = placed.find(demand.job);
    std::uint32_t workers = cluster.live(demand.job) + (added == placed.end() ? 0 : added->second);
    if (is_preempted(plan, demand.job)) workers = 0;
    EXPECT_EQ(waits(plan, demand.job), workers < demand.workers.min) << demand.job;
  }
  for (const Wait& wait : plan.waits) {
    EXPECT_FALSE(wait.reasons.empty()) << wait.job;
    const Demand& demand = cluster.demand(wait.job);
    const auto found = testing::codes_of(plan, wait.job);
    const auto has = [&](const std::string& code) {
      return std::count(found.begin(), found.end(), code) == 1;
    };
    EXPECT_EQ(has("backoff_restart"), demand.held) << wait.job;
    // A stalled gang may have given up its workers in this very plan, before or after its turn.
    const auto given_up = std::count_if(plan.releases.begin(), plan.releases.end(),
                                        [&](const Release& release) { return release.job == wait.job; });
    if (has("gang_partial")) {
      EXPECT_GT(cluster.live(wait.job), 0U) << wait.job;
    } else {
      EXPECT_EQ(cluster.live(wait.job), given_up) << wait.job;
    }
    // One that is preempted does not keep its workers on nodes where nothing new may go.
    const bool can_run = is_preempted(plan, wait.job) ? count_room(cluster, {}, demand) >= demand.workers.min
                                                      : can_ever_run(cluster, demand);
    EXPECT_EQ(has("never_fits") || has("drain"), !demand.held && !can_run) << wait.job;
    const auto gpu_type = std::ranges::find(wait.reasons, "gpu_type", &Reason::code);
    // Else it is the reason of one that comes first.
    if (gpu_type != wait.reasons.end() && gpu_type->text.starts_with("each worker needs")) {
      Demand of_any_kind = demand;
      of_any_kind.gpu_kind.clear();
      EXPECT_FALSE(demand.gpus == 0 || demand.gpu_kind.empty()) << wait.job;
      if (!can_run && !is_preempted(plan, wait.job)) {
        EXPECT_TRUE(can_ever_run(cluster, of_any_kind)) << wait.job;
      }
    }
    for (const Reason& reason : wait.reasons) {
      EXPECT_TRUE(codes.contains(reason.code)) << reason.code;
      EXPECT_NE(reason.text.find_first_of("0123456789"), std::string::npos) << reason.text;
      EXPECT_EQ(std::count(reason.blocking.begin(), reason.blocking.end(), wait.job), 0)
          << "is in its own way";
    }
  }
}

/// Giving back any single release would leave somebody waiting without room.
void expect_no_needless_release(const ClusterModel& cluster, const Plan& plan) {
  const auto waiting_for_room = [](const Plan& p) {
    std::set<std::string> jobs;
    for (const Wait& wait : p.waits) {
      for (const Reason& reason : wait.reasons) {
        if (reason.text.find("it starts when") != std::string::npos) jobs.insert(wait.job);
      }
    }
    return jobs;
  };
  const auto served = waiting_for_room(plan);
  if (plan.releases.empty() || served.size() != 1 || plan.waits.size() != 1)
    return;  // one waits: easy to count
  const Demand& demand = cluster.demand(*served.begin());
  for (const Release& kept : plan.releases) {
    const auto use =
        use_after_releases(cluster, plan, [&](const Lease& lease) { return lease.worker == kept.worker; });
    EXPECT_LT(cluster.live(demand.job) + count_room(cluster, use, demand), demand.workers.min)
        << "worker " << kept.worker;
  }
}

void expect_sound(const ClusterModel& cluster, const Plan& plan, Overtaking& seen) {
  EXPECT_EQ(plan, cluster.plan()) << "equal input, equal plan";
  expect_no_slot_twice(cluster, plan);
  expect_gangs_kept_whole(cluster, plan);
  expect_together(cluster, plan, seen.together);
  expect_spread(cluster, plan, seen.spread);
  expect_releases_only_of_what_can_be_spared(cluster, plan);
  expect_preemptions_only_where_needed(cluster, plan);
  expect_the_line_kept(cluster, plan, seen);
  expect_no_idle_slot(cluster, plan);
  expect_reasons(cluster, plan);
  expect_no_needless_release(cluster, plan);
}

TEST(PlanProperty, EveryPlanOfALivingClusterIsSound) {
  Overtaking seen;
  std::size_t releases = 0;
  std::size_t refills = 0;
  std::size_t preemptions = 0;
  const Seeds seeds(kSeeds);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (int step = 0; step < 25; ++step) {
      const Plan plan = cluster.plan();
      expect_sound(cluster, plan, seen);
      if (HasFailure()) FAIL() << "seed " << seed << ", step " << step;
      releases += plan.releases.size();
      preemptions += plan.preemptions.size();
      for (const auto& [job, count] : count_placed(plan)) {
        const std::uint32_t live = cluster.live(job);
        if (live > 0 && live < cluster.demand(job).workers.min) ++refills;
      }
      cluster.carry_out(plan);
      disturb(cluster, random, step);
      cluster.go_on_until(cluster.now_ms + 1000 * between(random, 0, 60));
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(releases, 100U) << "the clusters are too roomy to try shrinking";
  EXPECT_GT(refills, 100U) << "too few losses to try refilling";
  EXPECT_GT(seen.overtakers, 100U) << "nobody is behind who may start";
  EXPECT_GT(seen.kept_beside_idle, 50U) << "nobody is kept back";
  EXPECT_GT(seen.kept_moments, 100U) << "too few gangs have a limit";
  EXPECT_GT(preemptions, 100U) << "the jobs are too much alike to try preempting";
  EXPECT_GT(seen.together, 1000U);
  EXPECT_GT(seen.spread, 20U) << "nobody's workers are spread";
  EXPECT_GT(seen.beside_gpus, 20U) << "nobody starts beside GPUs that others wait for";
}

TEST(PlanProperty, ADisturbedClusterSettlesInAFewRounds) {
  const Seeds seeds(kSeeds);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (int step = 0; step < 8; ++step) {
      const int rounds = cluster.settle();
      ASSERT_LE(rounds, 12) << "seed " << seed << ", step " << step;
      ASSERT_TRUE(cluster.plan().releases.empty());
      for (int i = 0; i < 3; ++i) disturb(cluster, random, step * 3 + i);
    }
  }
}

TEST(PlanProperty, TheOrderOfTheInputDoesNotMatterToWhoGetsHowMany) {
  const Seeds seeds(500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    ClusterModel shuffled = cluster;
    std::shuffle(shuffled.demands.begin(), shuffled.demands.end(), random);
    EXPECT_EQ(cluster.plan(), shuffled.plan()) << "seed " << seed;
  }
}

/// All jobs end in turn; none is forgotten.
TEST(PlanProperty, EveryJobThatCanRunRunsInTheEnd) {
  const Seeds seeds(1000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (Demand& demand : cluster.demands) demand.held = demand.is_young = false;
    std::erase_if(cluster.demands, [&](const Demand& demand) { return !can_ever_run(cluster, demand); });
    while (!cluster.demands.empty()) {
      cluster.settle();
      for (int lost = 0; lost < 3 && !cluster.leases.empty(); ++lost) {
        const auto last = static_cast<std::uint32_t>(cluster.leases.size()) - 1;
        cluster.lose_worker(cluster.leases[between(random, 0, last)].worker);
      }
      ASSERT_LE(cluster.settle(), 30) << "seed " << seed;
      const auto running =
          std::find_if(cluster.demands.begin(), cluster.demands.end(),
                       [&](const Demand& demand) { return cluster.live(demand.job) >= demand.workers.min; });
      ASSERT_NE(running, cluster.demands.end()) << "seed " << seed << ": all wait for ever";
      cluster.end_job(std::string(running->job));
    }
  }
}

}  // namespace
}  // namespace ds::scheduler
