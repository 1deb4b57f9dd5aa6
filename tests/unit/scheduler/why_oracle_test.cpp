// What `why` names, against trying: on small random clusters all sets of jobs are taken away, and what else
// is in the way. What keeps a job from starting whatever is free is tried in `holds_oracle_test.cpp`.
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

bool has_minimum(const ClusterModel& cluster, const std::string& job) {
  return cluster.live(job) >= std::max(1U, cluster.demand(job).workers.min);
}

/// Whether the job gets its minimum, sooner or later, when nothing else happens.
bool starts(ClusterModel cluster, const std::string& job) {
  for (int round = 0; round < 50 && !has_minimum(cluster, job); ++round) {
    const Plan plan = cluster.plan();
    if (plan.releases.empty() && plan.placements.empty()) break;
    cluster.carry_out(plan);
    cluster.finish_releases();
  }
  return has_minimum(cluster, job);
}

std::set<std::string> named(const Wait& wait) {
  std::set<std::string> jobs;
  for (const Reason& reason : wait.reasons) jobs.insert(reason.blocking.begin(), reason.blocking.end());
  return jobs;
}

/// Whether, before the job has its minimum, one that it names loses all its workers to another queue's job
/// that comes to what that queue is guaranteed, since one before it is gone. `waits`: with all there.
bool is_named_one_preempted(ClusterModel cluster, const Wait& wait, const std::vector<Wait>& waits) {
  const std::set<std::string> blocking = named(wait);
  const auto has_gone = [&](const std::string& job) {
    return std::ranges::find(cluster.demands, job, &Demand::job) == cluster.demands.end();
  };
  const auto is_reclaimed = [&](const Preemption& one) {
    const Demand &by = cluster.demand(one.by), &victim = cluster.demand(one.job);
    const auto waited = std::ranges::find(waits, one.by, &Wait::job);
    return blocking.contains(one.job) && one.by != wait.job &&
           std::tie(by.tenant, by.queue) != std::tie(victim.tenant, victim.queue) && waited != waits.end() &&
           std::ranges::any_of(named(*waited), has_gone);
  };
  bool is_any = false;
  for (int round = 0; round < 50 && !is_any && !has_minimum(cluster, wait.job); ++round) {
    const Plan plan = cluster.plan();
    is_any = std::ranges::any_of(plan.preemptions, is_reclaimed);
    cluster.carry_out(plan);
    cluster.finish_releases();
  }
  return is_any;
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

struct SeenWaits {
  std::map<std::string, std::size_t> codes;
  std::size_t waits = 0, fixed = 0, started = 0, kept = 0, taken = 0, mattering = 0;
  std::map<std::string, std::size_t> removed;  ///< blockers that are no jobs, by code
};

/// Whether `plan.hpp` says that nobody is named in vain.
bool is_exact(const ClusterModel& cluster, const Wait& wait) {
  const Demand& own = cluster.demand(wait.job);
  const bool is_own_turn = std::ranges::all_of(wait.reasons, [](const Reason& reason) {
    return reason.code == "no_capacity_now" || reason.code == "topology" || reason.blocking.empty();
  });
  const bool is_picky = own.gpus > 0 || own.placement == PlacementRule::same_node;
  const bool may_shift = std::ranges::any_of(cluster.demands, [&](const Demand& other) {
    const bool is_elastic = other.workers.max > std::max(1U, other.workers.min);
    const bool is_stalled = cluster.live(other.job) > 0 && cluster.live(other.job) < other.workers.min;
    return other.can_relocate || is_stalled || (is_picky && is_elastic);
  });
  return is_own_turn && !cluster.tenants.has_tenants() && !may_shift;
}

/// `starts_without`: by set of others that are gone.
void expect_none_is_named_in_vain(const ClusterModel& cluster, const Wait& wait,
                                  const std::vector<std::string>& others,
                                  const std::vector<bool>& starts_without, const std::string& where,
                                  SeenWaits& seen) {
  for (const std::string& job : named(wait)) {
    const auto own = 1U << static_cast<unsigned>(std::ranges::find(others, job) - others.begin());
    bool matters = false;
    for (unsigned set = 0; set < starts_without.size() && !matters; ++set)
      matters = (set & own) == 0 && !starts_without[set] && starts_without[set | own];
    EXPECT_TRUE(matters) << where << ": " << job << " is named in vain\n" << describe(cluster, wait);
    ++seen.mattering;
  }
}

/// Each is what its reason says, whatever would become of the job without it.
void expect_names_are_true(const ClusterModel& cluster, const Wait& wait, const std::string& where) {
  const Demand& own = cluster.demand(wait.job);
  const auto is_ahead = [&](const Demand& other) {
    return other.tenant == own.tenant && other.queue == own.queue &&
           cluster.live(other.job) < std::max(1U, other.workers.min) &&
           (other.priority > own.priority || (other.priority == own.priority && other.order < own.order));
  };
  for (const Reason& reason : wait.reasons) {
    EXPECT_EQ(reason.unnamed, 0U) << where;
    for (const std::string& job : reason.blocking) {
      const Demand& other = cluster.demand(job);
      const bool waits = cluster.live(job) < std::max(1U, other.workers.min);
      const bool has_workers =
          std::ranges::any_of(cluster.leases, [&](const Lease& lease) { return lease.job == job; });
      bool is_true = has_workers;
      if (reason.code == "priority_behind") is_true = is_ahead(other);
      if (reason.code == "gang_partial") is_true = has_workers || is_ahead(other);
      if (reason.code == "fair_share_turn") is_true = waits || other.tenant == own.tenant;
      // What it can't have since nobody could have it back may be kept for others that wait.
      if (reason.code == "quota_tenant") is_true = has_workers || !own.preemptible;
      EXPECT_TRUE(is_true) << where << ": " << job << " is named by " << reason.code << "\n"
                           << describe(cluster, wait);
    }
  }
}

/// `waits`: all of the cluster.
void try_all_sets(const ClusterModel& cluster, const Wait& wait, const std::vector<Wait>& waits,
                  const std::string& where, SeenWaits& seen) {
  std::vector<std::string> others;
  for (const Demand& demand : cluster.demands) {
    if (demand.job != wait.job) others.push_back(demand.job);
  }
  const std::set<std::string> blocking = named(wait);
  const bool is_looked_at_all = is_exact(cluster, wait) && !waits_for_no_job(wait);
  std::vector<bool> starts_without;
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
    if (is_looked_at_all) starts_without.push_back(starts(without, wait.job));
    if (taken == 0 && (set == 0 || !blocking.empty() || waits_for_no_job(wait))) {
      const bool has_started = starts(without, wait.job);
      const bool is_taken = has_started && is_named_one_preempted(without, wait, waits);
      EXPECT_TRUE(!has_started || is_taken) << where << " without set " << set << "\n"
                                            << describe(cluster, wait);
      ++(is_taken ? seen.taken : seen.kept);
    } else if (all && !waits_for_no_job(wait)) {
      EXPECT_TRUE(starts(without, wait.job)) << where << " without set " << set << "\n"
                                             << describe(cluster, wait);
      ++seen.started;
    }
    if (::testing::Test::HasFailure()) return;
  }
  if (is_looked_at_all) expect_none_is_named_in_vain(cluster, wait, others, starts_without, where, seen);
}

bool is_no_job(const Reason& reason) {
  static const std::set<std::string> kCodes{"never_fits", "drain", "backoff_restart", "quota_tenant"};
  return kCodes.contains(reason.code) && reason.blocking.empty();
}

/// What the reason says is in the way is gone; nothing else is changed.
void remove_blocker(ClusterModel& cluster, const std::string& code, const std::string& job) {
  Demand& own = cluster.demand(job);
  if (code == "drain") {
    for (NodeView& node : cluster.nodes) node.available = true;
  } else if (code == "backoff_restart") {
    own.held = false;
  } else if (code == "quota_tenant") {
    for (QueueSpec& queue : cluster.tenants.queues)
      queue.borrowing_limit = queue.lending_limit = queue.gpu_limit = std::nullopt;
    own.preemptible = true;
  } else {
    const std::uint32_t workers = std::max(1U, own.workers.min);
    cluster.add_node("large", workers * static_cast<std::uint32_t>(own.slots.rounded_down() + 1),
                     workers * own.memory_bytes);
    cluster.nodes.back().gpus = workers * own.gpus;
    cluster.nodes.back().gpu_kind = own.gpus == 0 ? "" : "NVIDIA " + own.gpu_kind;
  }
}

/// With all other jobs gone the job waits as long as what is named is there, whatever else is done for it;
/// and when that is gone, and what is named then, it starts.
void remove_what_is_no_job(const ClusterModel& cluster, const Wait& wait, const std::string& where,
                           SeenWaits& seen) {
  ClusterModel alone = cluster;
  for (const Demand& other : cluster.demands) {
    if (other.job != wait.job) alone.end_job(other.job);
  }
  std::set<std::string> removed;
  while (!starts(alone, wait.job) && !::testing::Test::HasFailure()) {
    const Plan plan = alone.plan();
    const auto now = std::ranges::find(plan.waits, wait.job, &Wait::job);
    ASSERT_NE(now, plan.waits.end()) << where << "\n" << describe(alone, wait);
    const auto reason = std::ranges::find_if(now->reasons, is_no_job);
    ASSERT_NE(reason, now->reasons.end()) << where << "\n" << describe(alone, *now);
    for (const std::string other : {"drain", "backoff_restart", "quota_tenant"}) {
      // More nodes that are there, more slots that are lent.
      if (other == reason->code || (other == "drain" && reason->code == "quota_tenant")) continue;
      ClusterModel changed = alone;
      remove_blocker(changed, other, wait.job);
      EXPECT_FALSE(starts(changed, wait.job)) << where << " without " << other << "\n"
                                              << describe(alone, *now);
    }
    ASSERT_TRUE(removed.insert(reason->code).second) << where << ": it is gone, and named again\n"
                                                     << describe(alone, *now);
    remove_blocker(alone, reason->code, wait.job);
    ++seen.removed[reason->code];
  }
}

void look_at(const ClusterModel& cluster, const std::string& where, SeenWaits& seen) {
  const Plan plan = cluster.plan();
  for (const Wait& wait : plan.waits) {
    ++seen.waits;
    for (const Reason& reason : wait.reasons) {
      ++seen.codes[reason.code];
      seen.fixed += reason.text.find("such jobs have") != std::string::npos ? 1 : 0;
    }
    expect_names_are_true(cluster, wait, where);
    try_all_sets(cluster, wait, plan.waits, where, seen);
    if (waits_for_no_job(wait)) remove_what_is_no_job(cluster, wait, where, seen);
    if (::testing::Test::HasFailure()) return;
  }
}

/// Jobs of `tenants` at random; then workers are lost, so that gangs are below their minimum, as long as they
/// stay so. `may_relocate`: of some jobs workers may go to other nodes.
/// `are_many_fixed`: half of the jobs are not preemptible.
ClusterModel cluster_at_rest(Random& random, const TenantTree& tenants, bool may_relocate = true,
                             bool are_many_fixed = false) {
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
  for (Demand& demand : cluster.demands) demand.can_relocate = demand.can_relocate && may_relocate;
  for (Demand& demand : cluster.demands) {
    if (!are_many_fixed) break;
    demand.preemptible = below(random, 2) == 0;
    demand.can_relocate = demand.can_relocate && demand.preemptible;
  }
  cluster.settle();
  if (below(random, 3) == 0 && !cluster.nodes.empty()) {
    cluster.lose_node(cluster.nodes[below(random, cluster.nodes.size())].id);
    cluster.settle();
  }
  return cluster;
}

void expect_codes(SeenWaits& seen, const std::vector<const char*>& codes) {
  for (const char* code : codes) EXPECT_GT(seen.codes[code], 10U) << code;
}

TEST(WhyOracle, JobsThatAreNamedAreThoseWhoseAbsenceWouldLetTheJobStart) {
  SeenWaits seen;
  const Seeds seeds(1900);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    look_at(cluster_at_rest(random, {}, seed % 2 == 0), "seed " + std::to_string(seed), seen);
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(seen.started, 3000U);
  EXPECT_GT(seen.kept, 3000U);
  expect_codes(seen, {"no_capacity_now", "never_fits", "priority_behind", "memory", "gpu_type", "topology",
                      "drain", "backoff_restart", "gang_partial"});
  EXPECT_GT(seen.mattering, 50U);
  for (const char* code : {"drain", "backoff_restart", "never_fits"})
    EXPECT_GT(seen.removed[code], 10U) << code;
}

TEST(WhyOracle, TheSameAmongTenants) {
  SeenWaits seen;
  const Seeds seeds(2400);
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
  EXPECT_LT(seen.taken, 10U);
  expect_codes(seen, {"quota_tenant", "fair_share_turn", "no_capacity_now", "priority_behind"});
  for (const char* code : {"drain", "backoff_restart", "never_fits", "quota_tenant"})
    EXPECT_GT(seen.removed[code], 10U) << code;
}

TEST(WhyOracle, TheSameAmongTenantsOfWhomManyHaveJobsThatAreNotPreemptible) {
  SeenWaits seen;
  const Seeds seeds(2500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    const TenantTree tenants = random_tenants(random, 4 + below(random, 9));
    look_at(cluster_at_rest(random, tenants, true, true), "seed " + std::to_string(seed), seen);
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(seen.started, 700U);
  EXPECT_GT(seen.kept, 2000U);
  EXPECT_GT(seen.fixed, 50U);
  expect_codes(seen, {"quota_tenant", "fair_share_turn", "priority_behind", "never_fits"});
}

/// Of more jobs than are named so many suffice as the reason says, those with the most slots, and no fewer.
TEST(WhyOracle, SaysHowManySufficeWhereNotAllAreNamed) {
  for (const std::uint64_t seed : Seeds(30)) {
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    for (int node = 0; node < 20; ++node) cluster.add_node("n" + std::to_string(node), 4);
    const bool are_small = seed == 0;
    for (std::uint32_t used = 0; used + 3 <= 80;) {
      const std::uint32_t workers = are_small ? 1 : between(random, 1, 3);
      cluster.add_job("runs" + std::to_string(used), {workers, workers});
      used += workers;
    }
    cluster.settle();
    cluster.add_job("gang", {30, 30}, 1);
    const Plan plan = cluster.plan();
    ASSERT_EQ(plan.waits.size(), 1U);
    const Reason& reason = plan.waits.front().reasons.front();
    ASSERT_EQ(reason.blocking.size(), 20U);
    const std::size_t count = reason.blocking.size() + reason.unnamed;
    EXPECT_EQ(count, cluster.demands.size() - 1);
    EXPECT_NE(reason.text.find("20 of the " + std::to_string(count) +
                               " jobs in the way are named, and without the " +
                               std::to_string(reason.enough) + " of them with the most slots it fits"),
              std::string::npos)
        << reason.text;
    std::vector<Demand> largest = cluster.demands;
    std::erase_if(largest, [](const Demand& one) { return one.job == "gang"; });
    std::ranges::stable_sort(largest, std::greater(), [](const Demand& one) { return one.workers.min; });
    for (const std::string& job : reason.blocking)
      EXPECT_GE(cluster.demand(job).workers.min, largest[19].workers.min) << job << " is none of the largest";
    for (std::size_t i = 0; i < reason.enough; ++i) {
      EXPECT_FALSE(starts(cluster, "gang")) << i << " of " << reason.enough;
      cluster.end_job(largest[i].job);
    }
    EXPECT_TRUE(starts(cluster, "gang")) << reason.enough;
    if (are_small) {
      EXPECT_EQ(reason.enough, 28U) << "two slots are free";
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ds::scheduler
