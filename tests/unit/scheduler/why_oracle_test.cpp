// What `why` names, against trying: on small random clusters all sets of jobs are taken away.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// Whether the job gets its minimum, sooner or later, when nothing else happens.
bool starts(ClusterModel cluster, const std::string& job) {
  const auto has_minimum = [&] { return cluster.live(job) >= std::max(1U, cluster.demand(job).workers.min); };
  for (int round = 0; round < 50 && !has_minimum(); ++round) {
    const Plan plan = cluster.plan();
    if (plan.releases.empty() && plan.placements.empty()) break;
    cluster.carry_out(plan);
    cluster.finish_releases();
  }
  return has_minimum();
}

std::set<std::string> named(const Wait& wait) {
  std::set<std::string> jobs;
  for (const Reason& reason : wait.reasons) jobs.insert(reason.blocking.begin(), reason.blocking.end());
  return jobs;
}

bool has_code(const Wait& wait, const std::string& code) {
  return std::ranges::any_of(wait.reasons, [&](const Reason& reason) { return reason.code == code; });
}

/// It does not wait for other jobs, or not for them alone.
bool waits_for_no_job(const Wait& wait) {
  return has_code(wait, "never_fits") || has_code(wait, "drain") || has_code(wait, "backoff_restart") ||
         std::ranges::any_of(wait.reasons, [](const Reason& reason) {
           return reason.code == "quota_tenant" && reason.blocking.empty();
         });
}

std::string describe(const ClusterModel& cluster, const Wait& wait) {
  std::string text = wait.job + ":";
  for (const Reason& reason : wait.reasons) {
    text += "\n  " + reason.code + ": " + reason.text + " [";
    for (const std::string& job : reason.blocking) text += " " + job;
    text += " ]";
  }
  for (const NodeView& node : cluster.nodes)
    text += "\n  " + node.id + ": " + std::to_string(node.slots) + " slots " +
            std::to_string(node.memory_bytes >> 30) + "Gi " + std::to_string(node.gpus) + " " +
            node.gpu_kind + (node.available ? "" : " away");
  for (const Demand& demand : cluster.demands) {
    text += "\n  " + demand.job + ": " + std::to_string(demand.workers.min) + ".." +
            std::to_string(demand.workers.max) + " x " + slots_text(demand.slots) + " " +
            std::to_string(demand.memory_bytes >> 30) + "Gi " + std::to_string(demand.gpus) + " " +
            demand.gpu_kind + (demand.placement == PlacementRule::same_node ? " together" : "") +
            " priority " + std::to_string(demand.priority) + (demand.held ? " held" : "") +
            (demand.preemptible ? "" : " fixed") + (demand.is_young ? " young" : "") + " " + demand.tenant +
            "/" + demand.queue + ":";
    for (const Lease& lease : cluster.leases) text += lease.job == demand.job ? " " + lease.node : "";
  }
  return text;
}

/// Whether of the jobs that wait in other queues none is left.
bool are_all_others_gone(const ClusterModel& cluster, const Wait& wait, const ClusterModel& without) {
  const Demand& own = cluster.demand(wait.job);
  return std::ranges::none_of(without.demands, [&](const Demand& other) {
    return std::tie(other.tenant, other.queue) != std::tie(own.tenant, own.queue) &&
           without.live(other.job) < other.workers.min;
  });
}

struct Seen {
  std::map<std::string, std::size_t> codes;
  std::size_t waits = 0, started = 0, kept = 0;
};

void try_all_sets(const ClusterModel& cluster, const Wait& wait, const std::string& where, Seen& seen) {
  std::vector<std::string> others;
  for (const Demand& demand : cluster.demands) {
    if (demand.job != wait.job) others.push_back(demand.job);
  }
  const std::set<std::string> blocking = named(wait);
  for (unsigned set = 0; set < 1U << others.size(); ++set) {
    ClusterModel without = cluster;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < others.size(); ++i) {
      if ((set >> i & 1U) == 0) continue;
      without.end_job(others[i]);
      taken += blocking.contains(others[i]) ? 1 : 0;
    }
    // A turn that is not theirs yet can become that of another tenant's job, which nothing names before.
    const bool all = taken == blocking.size() && are_all_others_gone(cluster, wait, without);
    if (taken == 0 && (set == 0 || !blocking.empty() || waits_for_no_job(wait))) {
      EXPECT_FALSE(starts(without, wait.job)) << where << " without set " << set << "\n"
                                              << describe(cluster, wait);
      ++seen.kept;
    } else if (all && !waits_for_no_job(wait)) {
      EXPECT_TRUE(starts(without, wait.job)) << where << " without set " << set << "\n"
                                             << describe(cluster, wait);
      ++seen.started;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

void look_at(const ClusterModel& cluster, const std::string& where, Seen& seen) {
  for (const Wait& wait : cluster.plan().waits) {
    ++seen.waits;
    for (const Reason& reason : wait.reasons) ++seen.codes[reason.code];
    try_all_sets(cluster, wait, where, seen);
    if (::testing::Test::HasFailure()) return;
  }
}

/// Jobs of `tenants` at random; then workers are lost, so that gangs are below their minimum, as long as they
/// stay so.
ClusterModel cluster_at_rest(Random& random, const TenantTree& tenants) {
  ClusterModel cluster = random_cluster(random);
  cluster.tenants = tenants;
  while (cluster.demands.size() > 6) cluster.demands.pop_back();
  const char* names[] = {"a", "b", "c", "c"};
  const char* queues[] = {"default", "default", "x", "y"};
  for (Demand& demand : cluster.demands) {
    if (!tenants.has_tenants()) break;
    const auto leaf = below(random, 4);
    demand.tenant = names[leaf];
    demand.queue = queues[leaf];
  }
  for (Demand& demand : cluster.demands) {
    if (below(random, 2) == 0) add_random_curve(demand, random);
  }
  cluster.settle();
  if (below(random, 3) == 0 && !cluster.nodes.empty()) {
    cluster.lose_node(cluster.nodes[below(random, cluster.nodes.size())].id);
    cluster.settle();
  }
  return cluster;
}

void expect_codes(Seen& seen, const std::vector<const char*>& codes) {
  for (const char* code : codes) EXPECT_GT(seen.codes[code], 10U) << code;
}

TEST(WhyOracle, JobsThatAreNamedAreThoseWhoseAbsenceWouldLetTheJobStart) {
  Seen seen;
  const Seeds seeds(1900);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    look_at(cluster_at_rest(random, {}), "seed " + std::to_string(seed), seen);
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(seen.started, 3000U);
  EXPECT_GT(seen.kept, 3000U);
  expect_codes(seen, {"no_capacity_now", "never_fits", "priority_behind", "memory", "gpu_type", "topology",
                      "drain", "backoff_restart", "gang_partial"});
}

TEST(WhyOracle, TheSameAmongTenants) {
  Seen seen;
  const Seeds seeds(2250);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    const TenantTree tenants = random_tenants(random, 12);
    look_at(cluster_at_rest(random, tenants), "seed " + std::to_string(seed), seen);
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(seen.started, 1000U);
  EXPECT_GT(seen.kept, 3000U);
  expect_codes(seen, {"quota_tenant", "fair_share_turn", "no_capacity_now", "priority_behind"});
}

}  // namespace
}  // namespace ds::scheduler
