// Training jobs under the live head's planner, in simulated time.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <deque>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "scheduler/simulator/live_job.hpp"
#include "scheduler/simulator/simulation.hpp"
#include "tests/unit/scheduler/pollux_traces.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"

namespace ds::simulator {
namespace {

using scheduler::ElasticJob;
using scheduler::SizeMeasured;
using scheduler::Slots;

class LivePolicy : public ::testing::Test {
 protected:
  /// Trains on the first `slots` slots of the first node; a step takes as long as `steps_s` says with one
  /// worker, two, …, of which all were measured.
  ElasticJob& add(std::uint32_t max_slots, std::uint32_t slots, std::vector<double> steps_s = {}) {
    ElasticJob job;
    job.id = static_cast<std::uint32_t>(jobs_.size());
    job.requested_slots = job.max_slots = max_slots;
    job.slots.assign(slots, 0);
    if (slots > 0) job.runs = kRun;
    auto& sizes = sizes_.emplace_back();
    for (std::size_t i = 0; i < steps_s.size(); ++i)
      sizes.push_back({static_cast<std::uint32_t>(i + 1), 1, steps_s[i], steps_s[i] / 2});
    job.told = {.sizes = sizes,
                .curve = scheduler::make_curve(sizes, std::vector<double>{30}, {1, max_slots}, max_slots)};
    return jobs_.emplace_back(std::move(job));
  }
  scheduler::Decision decide() const { return policy_->decide(cluster_, jobs_, 1000); }
  std::vector<std::size_t> counts() const {
    std::vector<std::size_t> counts;
    for (const Slots& slots : decide().slots) counts.push_back(slots.size());
    return counts;
  }

  static constexpr std::array kRun{scheduler::RunSpan{0, 1000}};
  scheduler::ElasticCluster cluster_{.slots = {4, 4}};
  std::deque<std::vector<SizeMeasured>> sizes_;
  std::vector<ElasticJob> jobs_;
  std::unique_ptr<scheduler::ElasticPolicy> policy_ = scheduler::find_policy("live")->make(nullptr);
};

TEST_F(LivePolicy, GivesWhoHasMeasuredNothingAllThatIsFreeAndEachItsMinimumFirst) {
  add(6, 0);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{6}));
  add(4, 0);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{4, 4}));
}

TEST_F(LivePolicy, TakesTheSlotOfWhoLosesLeastForOneThatWaits) {
  cluster_.slots = {6};
  add(3, 3, {3, 1.5, 1});
  add(3, 3, {3, 2.9, 2.8});
  add(1, 0);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{3, 2, 1}));
}

TEST_F(LivePolicy, MovesSlotsByWhatWasMeasuredUntilNoMovePays) {
  cluster_.slots = {4};
  add(3, 3, {3, 2.9, 2.8});
  add(3, 1, {3, 1.5, 1});
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 3}));
}

TEST_F(LivePolicy, MovesNothingToOneWhoseSpeedIsNotMeasuredYet) {
  cluster_.slots = {4};
  add(3, 3, {3, 2.9, 2.8});
  add(3, 1);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{3, 1}));
}

TEST_F(LivePolicy, RemembersWhoHasGoneBackOnItsSizeAndPlansAgainWhenItHasRested) {
  cluster_.slots = {4};
  ElasticJob& slowed = add(3, 3, {3, 2.9, 6});
  const auto decision = decide();
  EXPECT_EQ(decision.slots[0].size(), 2U);
  ASSERT_TRUE(decision.rests[0].is_resting(1'000'000));
  EXPECT_EQ(decision.wake_s, 1030);
  slowed.rest = decision.rests[0];
  EXPECT_EQ(counts(), (std::vector<std::size_t>{3})) << "while it rests it gives nothing back";
}

TEST_F(LivePolicy, GivesMoreToWhoHasHadLeastIfItIsToldTo) {
  const std::vector<double> steps_s{8, 4, 3, 2, 1.8, 1.6, 1.4};
  add(7, 0, steps_s).attained_slot_s = 20'000;
  add(7, 0, steps_s).attained_slot_s = 800;
  EXPECT_EQ(counts(), (std::vector<std::size_t>{4, 4}));
  policy_ = scheduler::find_policy("live_least_attained")->make(nullptr);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 7}));
  // With seven slots it will count for less after 100 slot-seconds more; the other one, much later.
  EXPECT_NEAR(*decide().wake_s, 1000 + 100 / 7.0, 1e-9);
}

TEST_F(LivePolicy, KeepsJobsThatDoNotTrainWhole) {
  ElasticJob& gang = add(5, 0);
  gang.told.reset();
  add(8, 8, {8, 4, 3, 2, 1.8, 1.6, 1.4, 1.2}).slots = {0, 0, 0, 0, 1, 1, 1, 1};
  EXPECT_EQ(counts(), (std::vector<std::size_t>{5, 3}));
}

/// Four shares of ten samples each; see `write_small_profiles`.
class LiveTraining : public ::testing::Test {
 protected:
  void SetUp() override { write_small_profiles(folder_.path()); }
  LiveJob make_job(double batch = 40) {
    auto read = read_applications(folder_.path());
    EXPECT_TRUE(read);
    applications_ = std::move(*read);
    return LiveJob(0, {"job", 0, {&applications_.at("bert")}, 4, batch}, 30);
  }
  /// The gradients have a little noise.
  static constexpr double kNear = 1e-3;
  TemporaryFolder folder_;
  std::map<std::string, ApplicationProfile> applications_;
};

TEST_F(LiveTraining, ComputesItsSharesOneAfterTheOtherAndTellsHowLongThatTook) {
  LiveJob job = make_job();
  EXPECT_NEAR(job.alone_s(), 30 + 200 * 1.25, kNear);
  EXPECT_EQ(job.view().max_slots, 4U);
  job.give({0}, 0);
  // It stands still for 30 s; of steps of 4 s the first six are not looked at, or only counted from.
  EXPECT_EQ(job.news_s(0), 30 + 13 * 4);
  EXPECT_EQ(job.advance(0, 82), 52);
  EXPECT_EQ(job.view().told->sizes.size(), 1U);
  EXPECT_EQ(job.view().told->sizes[0], (SizeMeasured{1, 1, 4, 4}));
  EXPECT_EQ(job.view().told->curve, nullptr);
  EXPECT_NEAR(*job.news_s(82), 30 + 200 * 4, kNear) << "its end";
  job.give({0, 0}, 82);
  EXPECT_NEAR(*job.news_s(82), 82 + 30 + 13 * 2.25, kNear);
  job.advance(82, 60);
  const auto told = *job.view().told;
  ASSERT_EQ(told.sizes.size(), 2U);
  EXPECT_EQ(told.sizes[1], (SizeMeasured{2, 1, 2.25, 2}));
  ASSERT_NE(told.curve, nullptr);
  EXPECT_EQ(told.curve->resize_s, 30);
  EXPECT_NEAR(told.curve->log_speeds[1], std::log(4 / 2.25), 1e-9);
  // 13 steps and 13.3 are made.
  EXPECT_NEAR(*job.news_s(142), 142 + (200 - 13 - 30 / 2.25) * 2.25, kNear);
  job.advance(142, 400);
  EXPECT_TRUE(job.is_done());
  EXPECT_NEAR(job.done_s(), 112 + 187 * 2.25, kNear);
}

TEST_F(LiveTraining, GrowsItsBatchByTheNoiseAndIsFasterWithMoreWorkersThen) {
  std::ofstream(folder_.path() / "bert" / "validation-10.csv")
      << "progress,iteration,metric,grad_sqr,grad_var\n1000,1000,1,1,4\n2000,2000,2,1,4\n";
  std::ofstream(folder_.path() / "bert" / "validation-40.csv")
      << "progress,iteration,metric,grad_sqr,grad_var\n1000,400,1,1,4\n2000,800,2,1,4\n";
  LiveJob job = make_job(10);
  ASSERT_EQ(job.view().max_slots, 2U) << "of five samples each";
  job.give({0}, 0);
  EXPECT_EQ(job.news_s(0), 30 + 13 * 1);
  job.advance(0, 43);
  EXPECT_EQ(job.news_s(43), 30 + 64 * 1) << "40 samples are the noise scale: two batches are within it";
  job.advance(43, 51);
  const double before = job.view().progress;
  EXPECT_NEAR(before, 64, 1e-6);
  job.advance(94, 20);
  EXPECT_NEAR(job.view().progress - before, 10 * 5.0 / 3, 1e-6) << "ten steps of twice the samples";
  job.advance(114, 14 * 2);
  EXPECT_EQ(job.view().told->sizes.back().batches, 2U);
}

TEST_F(LiveTraining, IsPlannedForWhenItHasNewsOnly) {
  SimulationSettings settings;
  settings.cluster.slots = {4};
  settings.cluster.round_s = 1;
  settings.clock_ms = [] { return 0.0; };
  Jobs jobs;
  jobs.push_back(std::make_unique<LiveJob>(make_job()));
  const auto outcome = simulate(jobs, *scheduler::find_policy("live")->make(nullptr), settings);
  ASSERT_TRUE(outcome) << outcome.error().text;
  EXPECT_NEAR(outcome->jobs.at(0).done_s, 30 + 200 * 1.25, kNear) << "on four slots from the start";
  EXPECT_EQ(outcome->decision_ms.size(), 2U) << "when it came, and when it had measured its speed";
}

}  // namespace
}  // namespace ds::simulator
