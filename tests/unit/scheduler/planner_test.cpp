#include "scheduler/policy/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// A planner that is told of a cluster's changes, and of nothing else.
class Follower {
 public:
  explicit Follower(const TenantTree& tenants) : planner_(tenants) {}

  void look_at(const ClusterModel& cluster) {
    std::map<std::string, Known> now;
    for (const Demand& demand : cluster.demands) now[demand.job].demand = demand;
    for (const Lease& lease : cluster.leases) now[lease.job].leases.push_back(lease);
    planner_.set_nodes(cluster.nodes);
    for (const auto& [job, known] : known_) {
      if (!now.contains(job)) planner_.set_job(job, std::nullopt, {});
    }
    for (const auto& [job, known] : now) {
      const auto before = known_.find(job);
      if (before == known_.end() || before->second != known)
        planner_.set_job(job, known.demand, known.leases);
    }
    known_ = std::move(now);
  }

  Planner& planner() { return planner_; }

 private:
  struct Known {
    std::optional<Demand> demand;
    std::vector<Lease> leases;
    bool operator==(const Known&) const = default;
  };
  Planner planner_;
  std::map<std::string, Known> known_;
};

void expect_the_same(const ClusterModel& cluster, Planner& planner, const std::string& where) {
  const Plan fresh = cluster.plan();
  std::vector<std::string> jobs;
  for (const Wait& wait : fresh.waits) jobs.push_back(wait.job);
  for (const Demand& demand : cluster.demands) {  // in the same order; those that do not wait come last
    if (std::ranges::find(fresh.waits, demand.job, &Wait::job) == fresh.waits.end())
      jobs.push_back(demand.job);
  }
  EXPECT_EQ(planner.explain(jobs, cluster.past, cluster.now_ms), fresh.waits) << where;
  Plan plan = planner.plan(cluster.past, cluster.now_ms);
  EXPECT_TRUE(plan.waits.empty());
  plan.waits = fresh.waits;
  EXPECT_EQ(plan, fresh) << where;
}

TEST(Planner, PlansFromChangesWhatItWouldPlanFromTheWhole) {
  std::size_t placements = 0, releases = 0, preemptions = 0, waits = 0, resizes = 0;
  for (std::uint64_t seed = 0; seed < 900; ++seed) {
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
  EXPECT_GT(placements, 1000U);
  EXPECT_GT(releases, 500U);
  EXPECT_GT(preemptions, 50U);
  EXPECT_GT(waits, 1000U);
  EXPECT_GT(resizes, 1000U);
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
