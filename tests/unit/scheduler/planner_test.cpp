#include "scheduler/policy/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/trial_job.hpp"
#include "tests/unit/scheduler/planner_follower.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(Planner, PlansFromChangesWhatItWouldPlanFromTheWhole) {
  std::size_t placements = 0, releases = 0, preemptions = 0, waits = 0, resizes = 0;
  const Seeds seeds(1200);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    if (seed % 2 == 1) cluster.tenants = random_tenants(random, 12);
    Follower follower(cluster.tenants);
    for (int step = 0; step < 25; ++step) {
      const char* tenants[] = {"a", "b", "c", "c", "unknown"};
      const char* queues[] = {"default", "default", "x", "y", "default"};
      for (Demand& demand : cluster.demands) {
        if (demand.tenant != "default") continue;
        const auto leaf = below(random, 20) == 0 ? 4 : below(random, 4);
        demand.tenant = tenants[leaf];
        demand.queue = queues[leaf];
        cluster.past = {{"a", "default", static_cast<double>(below(random, 4)), 0}};
      }
      if (step % 4 == 0 && seed % 4 < 2) {  // in the other half nobody has measured anything
        for (Demand& demand : cluster.demands) add_random_curve(demand, random);
      }
      Random quotas = beside(random);
      if (seed % 2 == 1 && below(quotas, 4) == 0) cluster.tenants = random_tenants(quotas, 12);
      follower.look_at(cluster);
      const std::string where = "seed " + std::to_string(seed) + " step " + std::to_string(step);
      expect_the_same(cluster, follower.planner(), where);
      if (HasFailure()) return;
      const Plan plan = cluster.plan();
      placements += plan.placements.size();
      releases += plan.releases.size();
      preemptions += plan.preemptions.size();
      waits += plan.waits.size();
      resizes += plan.resizes.size();
      cluster.carry_out(plan);
      const auto nodes = cluster.nodes;
      disturb(cluster, random, step);
      cluster.go_on_until(cluster.now_ms + 1000 * between(random, 0, 60));
      if (seed % 3 == 0) cluster.nodes = nodes;  // what is away stays away while jobs come and go
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(placements, 1000U);
  EXPECT_GT(releases, 500U);
  EXPECT_GT(preemptions, 50U);
  EXPECT_GT(waits, 1000U);
  EXPECT_GT(resizes, 1000U);
}

/// Without those for whom another comes elsewhere.
std::int64_t count_releases(const Plan& plan, const std::string& job) {
  return std::ranges::count(plan.releases, job, &Release::job) -
         std::ranges::count_if(plan.relocations,
                               [&](const Relocation& one) { return one.job == job && one.has_begun; });
}

/// What the cluster's next plan is with one job more, which has really come.
WhatIf really_submit(ClusterModel cluster, Demand demand) {
  const Plan before = cluster.plan();
  demand.job = "zzz";
  cluster.demands.push_back(demand);
  const Plan plan = cluster.plan();
  WhatIf found;
  for (const Placement& one : plan.placements) {
    if (one.job == demand.job) found.placements.push_back({"(draft)", one.node, one.count});
  }
  for (const Wait& wait : plan.waits) {
    if (wait.job == demand.job) found.reasons = wait.reasons;
  }
  for (Relocation one : plan.relocations) {
    if (one.by != demand.job) continue;
    one.by = "(draft)";
    found.relocated.push_back(one);
  }
  std::set<std::string> preempted;
  for (const Preemption& one : plan.preemptions) {
    preempted.insert(one.job);
    if (one.by == demand.job) found.preempted.push_back(one.job);
  }
  for (const Demand& other : cluster.demands) {
    const auto more = count_releases(plan, other.job) - count_releases(before, other.job);
    if (more > 0 && !preempted.contains(other.job))
      found.shrunk.emplace(other.job, static_cast<std::uint32_t>(more));
  }
  // As the last of its kind, on an empty cluster whose nodes are all there.
  ClusterModel alone = cluster;
  alone.leases.clear();
  alone.demands = {demand};
  for (NodeView& node : alone.nodes) node.available = true;
  found.could_ever_start = !alone.plan().placements.empty();
  return found;
}

TEST(TrialJob, PredictsWhatThePlanDoesWhenTheJobIsSubmittedAndLeavesNoTrace) {
  std::size_t starts = 0, waits = 0, never = 0, preempted = 0, shrunk = 0, relocated = 0;
  const Seeds seeds(600);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    if (seed % 2 == 1) cluster.tenants = random_tenants(random, 12);
    Follower follower(cluster.tenants);
    for (int step = 0; step < 12; ++step) {
      for (Demand& demand : cluster.demands) {
        if (demand.tenant == "default" && seed % 2 == 1) demand.tenant = below(random, 2) == 0 ? "a" : "b";
        if (step % 4 == 0 && seed % 4 < 2) add_random_curve(demand, random);
      }
      ClusterModel scratch = cluster;
      add_random_job(scratch, random, 1000 + step);
      Demand draft = scratch.demands.back();
      draft.job = "(draft)";
      draft.held = draft.is_young = false;
      if (seed % 2 == 1) draft.tenant = below(random, 2) == 0 ? "a" : "b";
      follower.look_at(cluster);
      const std::string where = "seed " + std::to_string(seed) + " step " + std::to_string(step);
      WhatIf found;
      {
        TrialJob trial(follower.planner(), draft);
        found = trial.what_if(cluster.past, cluster.now_ms);
        EXPECT_EQ(trial.what_if(cluster.past, cluster.now_ms), found) << where;
      }
      const WhatIf real = really_submit(cluster, draft);
      EXPECT_EQ(found.placements, real.placements) << where;
      EXPECT_EQ(found.reasons, real.reasons) << where;
      EXPECT_EQ(found.preempted, real.preempted) << where;
      EXPECT_EQ(found.shrunk, real.shrunk) << where;
      EXPECT_EQ(found.relocated, real.relocated) << where;
      // What it may have alone says nothing of slots that others don't lend while they hold some elsewhere.
      if (seed % 2 == 0) {
        EXPECT_EQ(found.could_ever_start, real.could_ever_start) << where;
      }
      EXPECT_FALSE(follower.planner().could_ever_start("(draft)")) << where;
      expect_the_same(cluster, follower.planner(), where);
      if (HasFailure()) return;
      starts += !found.placements.empty();
      waits += found.placements.empty() && found.could_ever_start;
      never += !found.could_ever_start;
      preempted += found.preempted.size();
      shrunk += found.shrunk.size();
      relocated += found.relocated.size();
      cluster.carry_out(cluster.plan());
      disturb(cluster, random, step);
      cluster.go_on_until(cluster.now_ms + 1000 * between(random, 0, 60));
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(starts, 300U);
  EXPECT_GT(waits, 1000U);
  EXPECT_GT(never, 300U);
  EXPECT_GT(preempted, 50U);
  EXPECT_GT(shrunk, 50U);
  EXPECT_GT(relocated, 5U);
}

TEST(TrialJob, MayBeOneThatIsPausedWhoseWorkersAreStoppingAndLeavesThoseThere) {
  ClusterModel cluster;
  cluster.add_node("n", 2);
  cluster.add_job("runs", {1, 1});
  cluster.add_job("paused", {1, 1});
  cluster.settle();
  const Demand demand = cluster.demand("paused");
  std::erase_if(cluster.demands, [](const Demand& one) { return one.job == "paused"; });
  for (Lease& lease : cluster.leases) lease.releasing = lease.job == "paused";
  Planner planner;
  planner.tell_all(cluster.nodes, cluster.leases, cluster.demands);
  {
    Demand resumed = demand;
    resumed.has_promise = true;
    const TrialJob trial(planner, resumed);
    EXPECT_EQ(planner.promised_start("paused", 5, {}, 100), 105);
    EXPECT_EQ(planner.count_releasing(), 1U);
  }
  const ToldJob told = planner.told("paused");
  EXPECT_FALSE(told.demand);
  EXPECT_EQ(told.leases.size(), 1U);
  EXPECT_EQ(planner.count_releasing(), 1U);
}

TEST(Planner, ExplainsThoseJobsThatItIsAskedForAlone) {
  ClusterModel cluster;
  cluster.add_node("node", 2);
  for (int i = 0; i < 6; ++i) cluster.add_job("job" + std::to_string(i), {1, 1});
  cluster.carry_out(cluster.plan());
  Follower follower({});
  follower.look_at(cluster);
  const std::vector<std::string> asked{"job4", "job0", "nobody"};
  const auto waits = follower.planner().explain(asked);
  ASSERT_EQ(waits.size(), 1U);
  EXPECT_EQ(waits[0].job, "job4");
  const Plan whole = cluster.plan();
  EXPECT_EQ(waits[0].reasons, std::ranges::find(whole.waits, "job4", &Wait::job)->reasons);
}

TEST(Planner, ForgetsJobsThatHaveEndedOnceTheirWorkersAreGone) {
  ClusterModel cluster;
  cluster.add_node("node", 2);
  cluster.add_job("first", {2, 2});
  cluster.add_job("second", {2, 2});
  cluster.carry_out(cluster.plan());
  Follower follower({});
  follower.look_at(cluster);
  EXPECT_TRUE(follower.planner().plan().placements.empty());
  std::erase_if(cluster.demands, [](const Demand& demand) { return demand.job == "first"; });
  follower.look_at(cluster);
  EXPECT_TRUE(follower.planner().plan().placements.empty()) << "its workers are still there";
  cluster.leases.clear();
  follower.look_at(cluster);
  EXPECT_EQ(follower.planner().plan().placements, (std::vector<Placement>{{"second", "node", 2}}));
}

}  // namespace
}  // namespace ds::scheduler
