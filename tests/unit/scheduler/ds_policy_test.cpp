#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "tests/unit/scheduler/pollux_traces.hpp"

namespace ds::scheduler {
namespace {

using simulator::kPolluxTraces;

class DsPolicy : public ::testing::Test {
 protected:
  /// It runs on `slots` slots of the first node, and each slot makes it faster but the network.
  static ElasticJob running(std::uint32_t id, std::uint32_t slots, double network_s) {
    ElasticJob job;
    job.id = id;
    job.batch = {.base = 64, .max = 4096, .min_per_slot = 8, .max_per_slot = 512};
    job.noise = {.squared_norm = 0.01, .variance = 10};
    job.speed = SpeedModel{0.01, 0.002, network_s, 0, network_s, 0, 1};
    job.slots.assign(slots, 0);
    job.run_s = 6000;
    job.unchanged_s = 6000;
    job.max_slots = 2 * slots;
    return job;
  }

  std::vector<std::size_t> plan(const std::vector<ElasticJob>& jobs) const {
    std::vector<std::size_t> counts;
    for (const Slots& slots : policy_->plan(cluster_, jobs, 7000)) counts.push_back(slots.size());
    return counts;
  }

  ElasticCluster cluster_{.slots = {4, 4}};
  std::unique_ptr<ElasticPolicy> policy_ = find_policy("ds")->make(nullptr);
};

TEST_F(DsPolicy, StartsAJobThatItKnowsNothingOfOnOneSlot) {
  ElasticJob job;
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{1}));
}

TEST_F(DsPolicy, GrowsAJobThatGainsAndAtMostToTwiceWhatItHasRunWith) {
  EXPECT_EQ(plan({running(0, 2, 0.001)}), (std::vector<std::size_t>{4}));
}

TEST_F(DsPolicy, LeavesAJobAloneWhoseGainIsLessThanARestart) {
  ElasticJob job = running(0, 2, 0);
  job.max_slots = 8;  // four were tried
  job.noise = {.squared_norm = 1, .variance = 1e-9};
  job.speed = SpeedModel{1, 0.005, 0, 0, 1, 0, 1};  // 1.16 s on two slots, 1.08 s on four
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{2}));
  job.slots.clear();
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{4}));
}

TEST_F(DsPolicy, LetsASteadyJobTryMoreSlotsThatWouldBeIdleAgainstItsModel) {
  std::vector<ElasticJob> jobs{running(0, 2, 0.001)};
  jobs[0].speed = SpeedModel{0.01, 0.002, 0, 5, 0, 5, 1};
  EXPECT_EQ(plan(jobs), (std::vector<std::size_t>{4}));
  jobs[0].unchanged_s = 60;
  EXPECT_EQ(plan(jobs), (std::vector<std::size_t>{2}));
  jobs[0].unchanged_s = 6000;
  jobs[0].max_slots = 8;  // four were tried
  EXPECT_EQ(plan(jobs), (std::vector<std::size_t>{2}));
}

TEST_F(DsPolicy, ShrinksJobsUntilAllRun) {
  std::vector<ElasticJob> jobs{running(0, 4, 0.001), running(1, 4, 0.001)};
  jobs[1].slots = {1, 1, 1, 1};
  for (std::uint32_t id = 2; id < 8; ++id) {
    ElasticJob job;
    job.id = id;
    jobs.push_back(job);
  }
  EXPECT_EQ(plan(jobs), (std::vector<std::size_t>(8, 1)));
}

TEST_F(DsPolicy, GivesTheEarlierOfEqualJobsMore) {
  std::vector<ElasticJob> jobs{running(0, 4, 0.001), running(1, 4, 0.001)};
  jobs[1].slots = {1, 1, 1, 1};
  cluster_.slots = {4, 4, 4, 4};
  const auto counts = plan(jobs);
  EXPECT_GE(counts[0], counts[1]);
  EXPECT_GT(counts[0], 4U);
}

TEST_F(DsPolicy, GivesWhoHasLessLeftMoreThanWhoCameEarlier) {
  std::vector<ElasticJob> jobs{running(0, 4, 0.001), running(1, 4, 0.001)};
  jobs[1].slots = {1, 1, 1, 1};
  cluster_.slots = {4, 4, 4};
  for (ElasticJob& job : jobs) job.progress = 1000;
  jobs[0].usual_work = 1'000'000;
  jobs[1].usual_work = 200'000;
  const auto counts = plan(jobs);
  EXPECT_GT(counts[1], counts[0]);
  std::swap(jobs[0].usual_work, jobs[1].usual_work);
  EXPECT_GT(plan(jobs)[0], plan(jobs)[1]);
}

TEST_F(DsPolicy, DoesNotRestartAJobThatIsAboutToEnd) {
  ElasticJob job = running(0, 2, 0.001);
  job.progress = 1000;
  job.usual_work = 1'000'000;
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{4}));
  job.usual_work = 1001;
  job.unchanged_s = 60;  // or else it would try more against the model
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{2}));
  job.progress = 1002;  // longer than those before: as much again
  EXPECT_EQ(plan({job}), (std::vector<std::size_t>{4}));
}

TEST_F(DsPolicy, IsFasterOnAverageThanPolluxIsPublishedToBe) {
  NEEDS_PUBLISHED_TRACES(kPolluxTraces);
  for (const auto& [workload, pollux_s] :
       {std::pair{"1", 2088.76875}, {"2", 3322.94375}, {"3", 2188.49375}, {"6", 2446.13125}}) {
    const auto report = simulator::run_pollux("ds", std::string("load-1.0/workload-") + workload);
    EXPECT_LT(report.at("average_jct_s").get<double>(), pollux_s) << workload;
  }
}

}  // namespace
}  // namespace ds::scheduler
