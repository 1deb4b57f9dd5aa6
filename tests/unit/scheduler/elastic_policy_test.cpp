#include "scheduler/policy/elastic/elastic_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Two slots each are as fast as they can be.
class AnyOracle final : public Oracle {
 public:
  double remaining_steps(std::uint32_t job) const override { return 100 + job; }
  double step_seconds(std::uint32_t, std::uint32_t slots, std::uint32_t) const override {
    return 1.0 / slots;
  }
  std::uint32_t max_slots(std::uint32_t) const override { return 16; }
};

struct State {
  ElasticCluster cluster;
  std::vector<ElasticJob> jobs;
  std::vector<std::vector<RunSpan>> runs;
};

/// Jobs in the middle of their lives, on a cluster that holds what they have.
State make_state(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
  };
  State state;
  state.cluster.slots.assign(pick(1, 12), pick(1, 8));
  FreeSlots free(state.cluster);
  const std::uint32_t count = pick(0, 40);
  state.runs.resize(count);
  for (std::uint32_t id = 0; id < count; ++id) {
    ElasticJob job;
    job.id = id;
    job.submitted_s = id;
    job.requested_slots = pick(1, 2 * state.cluster.slots.front());
    job.max_slots = 1;
    job.batch = {.base = 128, .max = 4096, .min_per_slot = 32, .max_per_slot = 1024};
    if (pick(0, 3) > 0) {
      job.restarts = pick(1, 5);
      job.run_s = 60.0 * pick(1, 300);
      state.runs[id] = {{60, 60 + job.run_s}};
      job.runs = state.runs[id];
      job.attained_slot_s = job.run_s * pick(1, 8);
      job.progress = pick(1, 100000);
      job.max_slots = std::min(1U << pick(1, 6), state.cluster.total());
      job.speed = SpeedModel{0.01 * pick(1, 9),  0.0001 * pick(1, 99), 0.01 * pick(1, 99), 0.001 * pick(1, 9),
                             0.01 * pick(1, 99), 0.001 * pick(1, 9),   1.0 + pick(0, 5)};
      job.noise = {.squared_norm = 0.1 * pick(0, 9), .variance = 0.1 * pick(1, 99)};
      const std::uint32_t wanted = pick(0, 1) == 0 ? job.requested_slots : pick(1, job.max_slots);
      if (pick(0, 2) > 0 && wanted <= free.total()) job.slots = free.take_packed(wanted);
    }
    state.jobs.push_back(std::move(job));
  }
  return state;
}

TEST(ElasticPolicies, NeverOverfillANodeAndPlanTheSameForTheSame) {
  const AnyOracle oracle;
  for (const PolicyEntry& entry : list_policies()) {
    const auto policy = entry.make(&oracle);
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      State state = make_state(seed);
      if (entry.name == "fifo" || entry.name.starts_with("live") || entry.name.starts_with("tiresias")) {
        for (ElasticJob& job : state.jobs) {
          if (job.slots.size() != job.requested_slots) job.slots.clear();
        }
      }
      const auto plan = policy->plan(state.cluster, state.jobs, 50000);
      ASSERT_EQ(plan.size(), state.jobs.size()) << entry.name << " seed " << seed;
      std::vector<std::uint32_t> used(state.cluster.slots.size(), 0);
      for (std::size_t i = 0; i < plan.size(); ++i) {
        for (const std::uint32_t node : plan[i]) ++used.at(node);
        const std::uint32_t most = entry.adapts_batch || entry.name == "edf" ? state.jobs[i].max_slots
                                   : entry.needs_oracle                      ? oracle.max_slots(0)
                                                                             : state.jobs[i].requested_slots;
        EXPECT_LE(plan[i].size(), most) << entry.name << " seed " << seed << " job " << i;
      }
      for (std::size_t node = 0; node < used.size(); ++node)
        EXPECT_LE(used[node], state.cluster.slots[node]) << entry.name << " seed " << seed;
      EXPECT_EQ(plan, policy->plan(state.cluster, state.jobs, 50000)) << entry.name << " seed " << seed;
    }
  }
}

TEST(ElasticPolicies, RigidOnesGiveWhatWasAskedForOrNothing) {
  for (const char* name : {"fifo", "live", "tiresias", "tiresias_queues", "gandiva"}) {
    const auto policy = find_policy(name)->make(nullptr);
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      State state = make_state(seed);
      for (ElasticJob& job : state.jobs) {
        if (job.slots.size() != job.requested_slots) job.slots.clear();
      }
      const auto plan = policy->plan(state.cluster, state.jobs, 50000);
      for (std::size_t i = 0; i < plan.size(); ++i)
        EXPECT_TRUE(plan[i].empty() || plan[i].size() == state.jobs[i].requested_slots)
            << name << " seed " << seed;
    }
  }
}

TEST(ElasticPolicies, ThatMayBeGivenRigidJobsNeverSplitThemBesideElasticOnes) {
  for (const PolicyEntry& entry : list_policies()) {
    if (!entry.keeps_rigid) continue;
    const auto policy = entry.make(nullptr);
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      State state = make_state(seed);
      for (ElasticJob& job : state.jobs) {
        if (seed % 2 == 0 && entry.adapts_batch && job.id % 2 == 0) continue;
        job.is_rigid = true;
        job.max_slots = job.requested_slots;
        job.speed.reset();
        if (job.id % 3 != 0) job.planned_s = 60.0 * job.id;
        if (job.slots.size() != job.requested_slots) job.slots.clear();
      }
      const auto plan = policy->plan(state.cluster, state.jobs, 50000);
      ASSERT_EQ(plan.size(), state.jobs.size());
      std::vector<std::uint32_t> used(state.cluster.slots.size(), 0);
      for (std::size_t i = 0; i < plan.size(); ++i) {
        for (const std::uint32_t node : plan[i]) ++used.at(node);
        if (!state.jobs[i].is_rigid) continue;
        EXPECT_TRUE(plan[i].empty() || plan[i].size() == state.jobs[i].requested_slots)
            << entry.name << " seed " << seed << " job " << i;
      }
      for (std::size_t node = 0; node < used.size(); ++node)
        EXPECT_LE(used[node], state.cluster.slots[node]) << entry.name << " seed " << seed;
    }
  }
}

TEST(ElasticPolicies, ThatAreGivenSeveralKindsOfGpuKeepAJobOnOne) {
  for (const PolicyEntry& entry : list_policies()) {
    if (!entry.chooses_kind || entry.adapts_batch) continue;  // kinds_of_gpu_test.cpp has ours
    const auto policy = entry.make(nullptr);
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      State state = make_state(seed);
      ElasticCluster& cluster = state.cluster;
      for (std::size_t node = 0; node < cluster.slots.size(); ++node)
        cluster.kinds.push_back(static_cast<std::uint32_t>(node * 3 / cluster.slots.size()));
      std::vector<std::uint32_t> of_kind(cluster.count_kinds());
      for (std::size_t node = 0; node < cluster.slots.size(); ++node)
        of_kind[cluster.kind_of(node)] += cluster.slots[node];
      for (ElasticJob& job : state.jobs) {
        const bool is_odd = entry.gives_as_asked && job.slots.size() != job.requested_slots;
        for (const std::uint32_t node : job.slots) {
          if (!is_odd && cluster.kind_of(node) == cluster.kind_of(job.slots.front())) continue;
          job.slots.clear();
          break;
        }
      }
      const auto plan = policy->plan(cluster, state.jobs, 50000);
      std::vector<std::uint32_t> used(cluster.slots.size(), 0);
      bool is_any = state.jobs.empty();
      for (std::size_t i = 0; i < plan.size(); ++i) {
        for (const std::uint32_t node : plan[i]) {
          ++used.at(node);
          EXPECT_EQ(cluster.kind_of(node), cluster.kind_of(plan[i].front()))
              << entry.name << " seed " << seed;
        }
        if (entry.gives_as_asked && !plan[i].empty()) {
          EXPECT_EQ(plan[i].size(), state.jobs[i].requested_slots) << entry.name << " seed " << seed;
        }
        EXPECT_LE(plan[i].size(), state.jobs[i].requested_slots) << entry.name << " seed " << seed;
        is_any |= !plan[i].empty() ||
                  state.jobs[i].requested_slots > *std::max_element(of_kind.begin(), of_kind.end());
      }
      EXPECT_TRUE(is_any) << entry.name << " seed " << seed << ": nobody runs on a free cluster";
      for (std::size_t node = 0; node < used.size(); ++node)
        EXPECT_LE(used[node], cluster.slots[node]) << entry.name << " seed " << seed;
    }
  }
}

TEST(ElasticPolicies, OnSeveralKindsAJobKeepsItsOwnAndANewOneGetsWhereMostIs) {
  ElasticCluster cluster;
  cluster.slots = {4, 8};
  cluster.kinds = {0, 1};
  std::vector<ElasticJob> jobs(3);
  for (std::uint32_t id = 0; id < 3; ++id) {
    jobs[id].id = id;
    jobs[id].requested_slots = 4;
  }
  jobs[0].slots = {0, 0, 0, 0};
  for (const char* name : {"fifo", "drf", "tiresias"}) {
    const auto plan = find_policy(name)->make(nullptr)->plan(cluster, jobs, 60);
    EXPECT_EQ(plan[0], jobs[0].slots) << name;
    EXPECT_EQ(plan[1], (Slots{1, 1, 1, 1})) << name;
    EXPECT_EQ(plan[2], (Slots{1, 1, 1, 1})) << name;
  }
  jobs[1].requested_slots = 9;  // could never fit on one kind, though on both
  EXPECT_EQ(find_policy("fifo")->make(nullptr)->plan(cluster, jobs, 60)[2].size(), 4U);
}

TEST(Tiresias, PutsWhoHasHadSixteenSlotHoursLastInTheOrderOfDemotion) {
  State state = make_state(1);
  state.cluster.slots = {4};
  state.jobs.assign(3, ElasticJob{});
  const std::vector<RunSpan> late{{60, 60 + 14400}};
  const std::vector<RunSpan> early{{0, 60 + 14400}};
  for (std::uint32_t id = 0; id < 3; ++id) {
    state.jobs[id].id = id;
    state.jobs[id].requested_slots = 4;
  }
  state.jobs[0].runs = late;
  state.jobs[1].runs = early;
  const auto policy = find_policy("tiresias")->make(nullptr);
  auto plan = policy->plan(state.cluster, state.jobs, 20000);
  EXPECT_EQ(plan[2].size(), 4U);
  state.jobs.pop_back();
  plan = policy->plan(state.cluster, state.jobs, 20000);
  EXPECT_TRUE(plan[0].empty());
  EXPECT_EQ(plan[1].size(), 4U);
}

TEST(Tiresias, MovesWhoNoLongerFitsOnItsKindToTheOneWithMostLeft) {
  ElasticCluster cluster;
  cluster.slots = {4, 8};
  cluster.kinds = {0, 1};
  std::vector<ElasticJob> jobs(2);
  jobs[0].requested_slots = 8;
  jobs[1].id = 1;
  jobs[1].requested_slots = 4;
  jobs[1].slots = {1, 1, 1, 1};
  const auto plan = find_policy("tiresias")->make(nullptr)->plan(cluster, jobs, 60);
  EXPECT_EQ(plan[0], Slots(8, 1));
  EXPECT_EQ(plan[1], Slots(4, 0));
}

TEST(FreeSlots, PackFillsNodesBeforeItOpensNewOnes) {
  ElasticCluster cluster;
  cluster.slots = {4, 4, 4};
  FreeSlots free(cluster);
  free.take({1, 1, 1});
  EXPECT_EQ(free.take_packed(1), (Slots{1}));
  EXPECT_EQ(free.take_packed(2), (Slots{0, 0}));
  EXPECT_EQ(free.take_packed(6), (Slots{0, 0, 2, 2, 2, 2}));
  EXPECT_EQ(free.total(), 0U);
}

}  // namespace
}  // namespace ds::scheduler
