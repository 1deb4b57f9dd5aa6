#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler::testing {

/// A planner that is told of a cluster's changes, and of nothing else.
class Follower {
 public:
  explicit Follower(const TenantTree& tenants) : planner_(tenants) {}

  void look_at(const ClusterModel& cluster) {
    planner_.set_tenants(cluster.tenants);
    planner_.set_nodes(cluster.nodes);
    look_at_jobs(cluster);
  }
  /// Without the nodes.
  void look_at_jobs(const ClusterModel& cluster) {
    std::map<std::string, Known> now;
    for (const Demand& demand : cluster.demands) now[demand.job].demand = demand;
    for (const Lease& lease : cluster.leases) now[lease.job].leases.push_back(lease);
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

inline void expect_the_same(const ClusterModel& cluster, Planner& planner, const std::string& where) {
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

}  // namespace ds::scheduler::testing
