#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "scheduler/simulator/workload.hpp"
#include "tests/unit/scheduler/family_test.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"

namespace ds::simulator {
namespace {

constexpr const char* kTraces = "sia-sosp23";

/// The small application on two kinds of GPU: `slow` as it is, `fast` in half the time.
class Sia : public FamilyTest {
 protected:
  void SetUp() override {
    write_small_profiles(folder_.path() / "profiles");
    for (const char* table : {"placements", "scalability"}) {
      const std::filesystem::path plain = at(std::string("profiles/bert/") + table + ".csv");
      std::filesystem::copy(plain, at(std::string("profiles/bert/") + table + "-slow.csv"));
    }
    write("profiles/bert/placements-fast.csv",
          "placement,local_bsz,step_time,sync_time\n1,5,0.25,0\n1,10,0.5,0\n");
    write("profiles/bert/scalability-fast.csv",
          "num_nodes,num_replicas,local_bsz,step_time,sync_time\n1,2,5,0.5,0.25\n1,2,10,0.75,0.25\n");
    write("jobs.csv", "name,time,application,num_replicas,batch_size\nfirst,0,bert,1,10\n");
    command_.family = "sia";
    command_.profiles = at("profiles");
    command_.workload = at("jobs.csv");
    command_.cluster = "1x1:slow+1x1:fast";
    command_.as_json = true;
  }
};

TEST_F(Sia, AJobPaysItsModelsRestartAndRunsOnTheFasterKindAtThePaceOfARealRun) {
  // Seen at 60 s, stands 120 s. Two epochs of 100 units at 1.2 x 0.25 s: batches without noise gain nothing,
  // so the least is taken.
  const double makespan = report().at("makespan_s");
  EXPECT_GE(makespan, 60 + 120 + 2 * 100 * 0.25 * 1.2);
  EXPECT_LE(makespan, 60 + 120 + 2 * 100 * 0.5 * 1.2 + 2);
  command_.cluster = "1x1:slow";
  EXPECT_GT(report().at("makespan_s"), makespan);
}

TEST_F(Sia, KindsOfGpuAreReadFromTheClusterAndWrongOnesRefused) {
  const auto named = parse_cluster("2x4:aws+1x8:dgx-ext");
  ASSERT_TRUE(named) << named.error().text;
  EXPECT_EQ(named->cluster.slots, (std::vector<std::uint32_t>{4, 4, 8}));
  EXPECT_EQ(named->cluster.kinds, (std::vector<std::uint32_t>{0, 0, 1}));
  EXPECT_EQ(named->kinds, (std::vector<std::string>{"aws", "dgx-ext"}));
  for (const char* wrong : {"1x1:", "1x1:a+", "1x1:a+1x1", "1x1+1x1:a", "1x1:a+1x1:a", "1x1:../a", ":a"})
    EXPECT_FALSE(parse_cluster(wrong)) << wrong;
  command_.cluster = "1x1";
  EXPECT_EQ(refusal(), "--cluster: --family sia needs kinds of GPU, as 6x4:aws+3x8:rtx+2x8:dgx-ext");
  command_.cluster = "1x1:warm";
  EXPECT_EQ(refusal(), at("profiles/bert/placements-warm.csv") + ": there is no such file");
  command_.family = "pollux";
  EXPECT_EQ(refusal(), "--cluster: --family pollux has no kinds of GPU, as 16x4");
}

TEST_F(Sia, WhatDoesNotApplyIsRefused) {
  command_.policy = "optimus";
  EXPECT_EQ(
      refusal(),
      "--policy: optimus does not suit the jobs of --family sia; choose one of ds, ds_alone, fifo, drf, "
      "tiresias");
  command_.policy = "ds";
  command_.restart_s = 30;
  EXPECT_EQ(refusal(), "--restart: does not apply to --family sia");
}

TEST_F(Sia, APolicyThatDoesNotCompareKindsGivesAJobTheOneWithMostFreeSlotsAndTheFamilysCostsStay) {
  // Each of two slots of the slow kind, seen at 60 s, stands 120 s; a batch of 10 is two passes of 5 samples,
  // 0.5 s each, of which a step is then slowed by 1.2.
  command_.cluster = "1x2:slow+1x1:fast";
  for (const char* policy : {"fifo", "drf", "tiresias"}) {
    command_.policy = policy;
    write("jobs.csv", "name,time,application,num_replicas,batch_size\na,0,bert,1,10\nb,0,bert,1,10\n");
    const auto result = report();
    EXPECT_EQ(result.at("restarts"), 2) << policy;
    EXPECT_NEAR(result.at("p50_jct_s"), 60 + 120 + 200 * 1.2, 2) << policy;
  }
  command_.policy = "fifo";
  write("jobs.csv", "name,time,application,num_replicas,batch_size\na,0,bert,3,15\n");
  EXPECT_EQ(refusal(),
            at("jobs.csv") +
                ":2:10: a needs 3 slots and could never start: the cluster has 2 of one kind at most; "
                "name a larger --cluster, or leave it out");
}

TEST_F(Sia, OnTheTracesAllItsPoliciesEndAllJobs) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  command_.profiles = (published_traces(kTraces) / "profiles").string();
  command_.workload = (published_traces(kTraces) / "workloads/philly/workload-1.csv").string();
  command_.cluster.reset();
  std::vector<std::string> warnings;
  command_.warn = [&](const std::string& text) { warnings.push_back(text); };
  for (const char* policy : {"fifo", "drf", "tiresias"}) {
    command_.policy = policy;
    const auto result = report();
    EXPECT_EQ(result.at("jobs"), 160) << policy;
    EXPECT_GT(result.at("average_jct_s"), 0.45 * 3600) << policy;  // of ds
  }
  EXPECT_EQ(warnings, std::vector<std::string>{});
}

TEST_F(Sia, OnTheTracesDsIsFasterThanSiaIsPublishedToBeAndSeldomMovesAJob) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  command_.profiles = (published_traces(kTraces) / "profiles").string();
  command_.cluster.reset();
  double sum_s = 0;
  double restarts = 0;
  for (const char* workload : {"1", "2", "3", "6"}) {
    command_.workload =
        (published_traces(kTraces) / "workloads/philly" / (std::string("workload-") + workload + ".csv"))
            .string();
    const auto result = report();
    EXPECT_EQ(result.at("jobs"), 160);
    sum_s += result.at("average_jct_s").get<double>();
    restarts += result.at("restarts").get<double>();
  }
  EXPECT_LT(sum_s / 4, 0.6 * 3600);      // Sia 0.6 h, Pollux 1.0 h, both of eight workloads
  EXPECT_LT(restarts / (4 * 160), 3.3);  // 2.9; by prices alone 3.7
}

}  // namespace
}  // namespace ds::simulator
