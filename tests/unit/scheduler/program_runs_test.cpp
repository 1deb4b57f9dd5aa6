// Jobs whose program starts again when their size changes: they end, whoever else comes.
#include "scheduler/policy/program_runs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

TEST(ProgramRuns, GrowEarlyOrWhereItBringsMuch) {
  ProgramRuns runs;
  EXPECT_EQ(runs.next_size(0, 1000, 0), 0U) << "it has not started: any size";
  EXPECT_EQ(runs.next_size(4, 1000, 0), kNone) << "it is about to begin";
  runs.begin(1000);
  EXPECT_EQ(runs.next_size(4, 30'999, 0), kNone) << "slots may get free one after another";
  EXPECT_EQ(runs.next_size(4, 31'000, 0), 5U);
  EXPECT_EQ(runs.next_size(16, 31'000, 0), 17U);
  EXPECT_EQ(runs.next_size(16, 301'000, 0), 27U) << "log(27 / 16) of 600 s are more than 300 s";
  EXPECT_EQ(runs.next_size(4, 601'000, 0), 11U) << "4 e";
  EXPECT_EQ(runs.next_size(4, 36'000'000, 0), 11U) << "as long again as it has run";
  EXPECT_EQ(runs.next_size(4'000'000'000, 601'000, 0), kNone) << "more than there can be";
  runs.end();
  EXPECT_EQ(runs.next_size(4, 40'000, 0), kNone);
}

TEST(ProgramRuns, DoNotBeginAgainWhereTheTimeLimitIsNear) {
  ProgramRuns runs;
  runs.begin(1000);
  EXPECT_EQ(runs.next_size(4, 101'000, 200'000), 5U);
  EXPECT_EQ(runs.next_size(4, 101'000, 199'999), kNone) << "100 s would be done again in 100 s";
}

TEST(ProgramRuns, RestForTwiceWhatTheyHaveLost) {
  ProgramRuns runs;
  runs.begin(1'000);
  EXPECT_EQ(runs.may_shrink_ms(), 1'000);
  runs.lose(51'000, true);
  EXPECT_EQ(runs.may_shrink_ms(), 0) << "nothing runs that could be lost";
  runs.begin(60'000);
  EXPECT_EQ(runs.may_grow_ms(), 90'000) << "others have ended it: to grow now costs the new run alone";
  EXPECT_EQ(runs.may_shrink_ms(), 160'000);
  runs.lose(260'000, false);
  runs.begin(300'000);
  EXPECT_EQ(runs.may_grow_ms(), 700'000);
  EXPECT_EQ(runs.may_shrink_ms(), 400'000) << "growing has cost it nothing that others have to wait for";
  runs.lose(1'300'000, true);
  runs.begin(2'000'000);
  EXPECT_EQ(runs.may_grow_ms(), 2'400'000);
  EXPECT_EQ(runs.may_shrink_ms(), 2'600'000) << "others wait for ten minutes at most";
}

TEST(ProgramRuns, GrowByAnyNumberOnceTheirOwnerAllowsMore) {
  ProgramRuns runs;
  runs.begin(1'000);
  runs.lose(301'000, false);
  runs.begin(310'000);
  EXPECT_EQ(runs.next_size(4, 800'000, 0), kNone);
  runs.is_raised = true;
  EXPECT_EQ(runs.next_size(4, 339'999, 0), kNone);
  EXPECT_EQ(runs.next_size(4, 340'000, 0), 5U);
  EXPECT_EQ(runs.next_size(4, 36'000'000, 0), 5U) << "however long it has run";
  runs.lose(36'000'000, false);
  EXPECT_EQ(runs, (ProgramRuns{0, 300'000, 0})) << "its owner's will is no loss, and it is done";
}

TEST(ProgramRuns, LoseWorkersOfOnePlanOnce) {
  ProgramRuns runs;
  runs.begin(1'000);
  runs.lose(11'000, true);
  runs.lose(11'000, true);
  EXPECT_EQ(runs.grown_lost_ms, 0);
  EXPECT_EQ(runs.shrunk_lost_ms, 10'000);
  runs.begin(20'000);
  runs.lose(40'000, false);
  runs.lose(40'000, false);
  EXPECT_EQ(runs, (ProgramRuns{0, 20'000, 10'000}));
  runs.begin(500);
  EXPECT_EQ(runs.ran_ms(400), 0) << "the clock was set back";
}

/// One elastic job among others that come, carried out second by second.
class Churn {
 public:
  Churn(std::uint32_t slots, WorkerCount workers, std::int64_t run_s) : run_ms_(run_s * 1000) {
    cluster_.add_node("n1", slots);
    cluster_.add_job("elastic", workers);
  }
  void submit(const std::string& job, std::uint32_t slots, std::int64_t lasts_s) {
    cluster_.add_job(job, {slots, slots});
    lasts_ms_[job] = lasts_s * 1000;
  }
  void step() {
    cluster_.now_ms += 1000;
    const auto now_ms = cluster_.now_ms;
    for (const auto& [job, ends_ms] : std::map(ends_ms_)) {
      if (ends_ms > now_ms) continue;
      cluster_.end_job(job);
      cluster_.finish_releases();
      ends_ms_.erase(job);
    }
    if (runs.since_ms == 0 && workers() > 0) runs.begin(now_ms);
    is_over = runs.ran_ms(now_ms) >= run_ms_;
    if (is_over) return;
    for (int i = 0; i < 3; ++i) {  // a plan follows each event
      Demand& demand = cluster_.demand("elastic");
      demand.grows_to = runs.next_size(workers(), now_ms, 0);
      demand.is_resting = now_ms < runs.may_shrink_ms();
      demand.will_rest = runs.shrunk_lost_ms > 0;
      carry_out(cluster_.plan());
    }
    for (const auto& [job, lasts_ms] : lasts_ms_) {
      const auto ended = [&](const Demand& demand) { return demand.job == job; };
      const bool waits = std::ranges::any_of(cluster_.demands, ended) && cluster_.live(job) == 0;
      if (waits) longest_wait_ms = std::max(longest_wait_ms, waited_ms_[job] += 1000);
    }
  }
  std::uint32_t workers() const { return cluster_.live("elastic"); }

  ProgramRuns runs;
  bool is_over = false;
  std::int64_t lost_ms = 0, longest_wait_ms = 0;
  int growths = 0, shrinks = 0;

 private:
  void carry_out(const Plan& plan) {
    const auto before = workers();
    cluster_.carry_out(plan);
    cluster_.finish_releases();
    for (const Placement& placement : plan.placements) {
      if (placement.job != "elastic") ends_ms_[placement.job] = cluster_.now_ms + lasts_ms_.at(placement.job);
    }
    if (before == 0 || workers() == before) return;
    ++(workers() > before ? growths : shrinks);
    lost_ms += runs.ran_ms(cluster_.now_ms);
    runs.lose(cluster_.now_ms, workers() < before);
  }

  ClusterModel cluster_;
  std::int64_t run_ms_;
  std::map<std::string, std::int64_t> lasts_ms_, ends_ms_, waited_ms_;
};

TEST(ProgramRuns, EndThoughAnotherJobComesAgainAndAgain) {
  Churn churn(16, {1, 16}, 60);
  for (int second = 0; second < 200 && !churn.is_over; ++second) {
    if (second % 20 == 0) churn.submit("s" + std::to_string(second), 4, 6);
    churn.step();
  }
  EXPECT_TRUE(churn.is_over) << churn.growths << " growths, " << churn.shrinks << " shrinks";
  EXPECT_LE(churn.growths, 1);
  EXPECT_LE(churn.lost_ms, 120'000);
}

TEST(ProgramRuns, EndThoughOneAfterAnotherComesToStay) {
  Churn churn(16, {1, 16}, 100);
  for (int second = 0; second < 600 && !churn.is_over; ++second) {
    if (second % 30 == 0) churn.submit("s" + std::to_string(second), 1, 10'000);
    churn.step();
  }
  EXPECT_TRUE(churn.is_over);
  EXPECT_LE(churn.lost_ms, 200'000);
  EXPECT_GT(churn.shrinks, 1);
}

/// T seconds of one run are needed: as long as nobody waits for ten minutes, less than 4 T are lost; and in
/// any case there are so few growths that the job ends.
TEST(ProgramRunsProperty, WhateverComesTheyLoseABoundedTimeAndEnd) {
  int resized = 0, rested = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const std::uint32_t slots = between(random, 2, 16);
    const std::int64_t run_s = between(random, 20, 280);
    Churn churn(slots, {1, slots}, run_s);
    std::int64_t next_s = 0;
    int number = 0;
    const std::uint32_t most_pause = between(random, 1, 60), most_length = between(random, 1, 80);
    const std::int64_t limit_s = 6 * run_s + 300;
    for (std::int64_t second = 0; second < limit_s && !churn.is_over; ++second) {
      if (second == next_s) {
        churn.submit("s" + std::to_string(number++), between(random, 1, std::max(1U, slots / 4)),
                     between(random, 1, most_length));
        next_s += between(random, 1, most_pause);
      }
      churn.step();
    }
    ASSERT_TRUE(churn.is_over) << "seed " << seed << ": " << churn.growths << " growths, " << churn.shrinks
                               << " shrinks, " << churn.lost_ms << " ms lost of a run of " << run_s << " s";
    EXPECT_LE(churn.lost_ms, 4 * run_s * 1000) << "seed " << seed;
    EXPECT_LE(churn.growths, 1 + std::max(0.0, std::log2(static_cast<double>(run_s) / 30)))
        << "seed " << seed;
    resized += churn.growths + churn.shrinks;
    rested += churn.longest_wait_ms > 0 ? 1 : 0;
  }
  EXPECT_GT(resized, 50);
  EXPECT_GT(rested, 5);
}

class Resting : public ::testing::Test {
 protected:
  Resting() {
    cluster_.add_node("n1", 8);
    cluster_.add_job("elastic", {1, 8});
    for (int i = 0; i < 8; ++i) cluster_.start_worker("elastic", "n1");
    cluster_.demand("elastic").is_resting = true;
  }
  ClusterModel cluster_;
};

TEST_F(Resting, KeepTheirWorkersFromWhoIsAsUrgentAndNotFromWhoIsMore) {
  cluster_.add_job("equal", {4, 4});
  EXPECT_TRUE(cluster_.plan().releases.empty());
  EXPECT_EQ(codes_of(cluster_.plan(), "equal"), std::vector<std::string>{"no_capacity_now"});
  cluster_.demand("equal").priority = kHighPriority;
  EXPECT_EQ(cluster_.plan().releases.size(), 4U);
  cluster_.demand("equal").priority = kNormalPriority;
  cluster_.demand("equal").has_promise = true;
  EXPECT_EQ(cluster_.plan().releases.size(), 4U);
  cluster_.demand("equal").has_promise = false;
  cluster_.demand("elastic").is_resting = false;
  EXPECT_EQ(cluster_.plan().releases.size(), 4U);
}

TEST_F(Resting, AreNotTakenFromInThePlaceOfOneThatDoesNotRest) {
  cluster_.add_node("n2", 3);
  cluster_.add_job("other", {1, 8});
  for (int i = 0; i < 3; ++i) cluster_.start_worker("other", "n2");
  cluster_.add_job("equal", {2, 2});
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.releases.size(), 2U);
  for (const Release& release : plan.releases) EXPECT_EQ(release.job, "other");
}

TEST_F(Resting, GiveBackWhatIsGuaranteed) {
  cluster_.tenants.queues.push_back({.name = "a", .parent = 0, .depth = 1, .guaranteed = 4});
  cluster_.tenants.queues.push_back({.name = "b", .parent = 0, .depth = 1});
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.demand("elastic").tenant = "b";
  for (Lease& lease : cluster_.leases) lease.tenant = "b";
  cluster_.add_job("owed", {4, 4});
  cluster_.demand("owed").tenant = "a";
  EXPECT_EQ(cluster_.plan().releases.size(), 4U);
  cluster_.tenants.queues[1].guaranteed = 3;
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "it would borrow, too";
  cluster_.demand("elastic").is_resting = false;
  EXPECT_EQ(cluster_.plan().releases.size(), 4U);
}

TEST_F(Resting, GiveTheirOwnQueueWhatIsGuaranteed) {
  cluster_.tenants.queues.push_back({.name = "a", .parent = 0, .depth = 1, .guaranteed = 5});
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.demand("elastic").tenant = "a";
  for (Lease& lease : cluster_.leases) lease.tenant = "a";
  cluster_.add_job("owed", {4, 4});
  cluster_.demand("owed").tenant = "a";
  EXPECT_EQ(cluster_.plan().releases.size(), 4U) << "both minimums are within the guarantee";
  cluster_.tenants.queues[1].guaranteed = 4;
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

/// `gang` could have what `fixed` has and two of `elastic`'s, at 100 s, if that did not rest then.
class WillRest : public ::testing::Test {
 protected:
  WillRest() {
    cluster_.add_node("n1", 8);
    cluster_.add_job("fixed", {4, 4});
    cluster_.demand("fixed").lasts_ms = 100'000;
    for (int i = 0; i < 4; ++i) cluster_.start_worker("fixed", "n1");
    cluster_.add_job("elastic", {1, 4});
    for (int i = 0; i < 3; ++i) cluster_.start_worker("elastic", "n1");
    cluster_.demand("elastic").grows_to = 4;
    cluster_.demand("elastic").will_rest = true;
    cluster_.add_job("gang", {6, 6});
    cluster_.tell_ends();
  }
  ClusterModel cluster_;
};

TEST_F(WillRest, DoNotGrowWhereNobodyKnowsWhenOneThatWaitsHasRoomBesideThem) {
  EXPECT_TRUE(cluster_.plan().placements.empty());
  cluster_.demand("elastic").will_rest = false;
  EXPECT_EQ(cluster_.plan().placements.size(), 1U);
  cluster_.demand("elastic").will_rest = true;
  cluster_.demand("gang").workers = {4, 4};
  EXPECT_EQ(cluster_.plan().releases.size(), 0U);
  EXPECT_EQ(cluster_.plan().placements.size(), 1U) << "there is room for both at 100 s";
}

TEST_F(WillRest, AreNotCountedForAMomentAtWhichTheyMayRest) {
  cluster_.demand("elastic").grows_to = std::numeric_limits<std::uint32_t>::max();  // it begins again
  cluster_.add_job("short", {1, 1});
  cluster_.demand("short").lasts_ms = 100'000;
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "nobody knows when the gang starts";
  cluster_.demand("elastic").will_rest = false;
  EXPECT_EQ(cluster_.plan().placements.size(), 1U);
  cluster_.demand("elastic").will_rest = true;
  cluster_.demand("gang").has_promise = true;
  EXPECT_EQ(cluster_.plan().placements.size(), 1U) << "for that one they do not rest";
}

TEST(GrowsTo, IsTheLeastThatAJobGrowsBy) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("elastic", {1, 8});
  for (int i = 0; i < 2; ++i) cluster.start_worker("elastic", "n1");
  cluster.demand("elastic").grows_to = 5;
  EXPECT_TRUE(cluster.plan().placements.empty());
  cluster.add_node("n2", 2);
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"elastic", "n1", 2}, {"elastic", "n2", 2}}));
  cluster.demand("elastic").grows_to = 9;
  EXPECT_TRUE(cluster.plan().placements.empty()) << "more than it may have";
}

/// The slots of a job that has ended come free one after another.
TEST(GrowsTo, WaitsForAllThatIsStoppingSinceGrowingAgainWouldBeMuchLater) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  cluster.add_job("elastic", {1, 8});
  cluster.start_worker("elastic", "n1");
  cluster.add_job("cancelled", {1, 3});
  for (int i = 0; i < 3; ++i) cluster.start_worker("cancelled", "n1");
  for (Lease& lease : cluster.leases) lease.releasing = lease.job == "cancelled";
  std::erase_if(cluster.demands, [](const Demand& demand) { return demand.job == "cancelled"; });
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"elastic", "n1", 4}})) << "a job that trains";
  cluster.demand("elastic").grows_to = 2;
  EXPECT_TRUE(cluster.plan().placements.empty());
  cluster.finish_releases();
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"elastic", "n1", 7}}));
}

TEST(GrowsTo, LeavesOthersTheirShareOfWhatIsStopping) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  for (const char* job : {"elastic", "other"}) {
    cluster.add_job(job, {1, 8});
    cluster.start_worker(job, "n1");
  }
  cluster.demand("elastic").grows_to = 2;
  cluster.add_job("cancelled", {1, 3});
  for (int i = 0; i < 3; ++i) cluster.start_worker("cancelled", "n1");
  for (Lease& lease : cluster.leases) lease.releasing = lease.job == "cancelled";
  std::erase_if(cluster.demands, [](const Demand& demand) { return demand.job == "cancelled"; });
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"other", "n1", 3}}))
      << "three are for elastic";
  cluster.demand("elastic").workers.max = 3;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"elastic", "n1", 2}, {"other", "n1", 1}}))
      << "so much fits now: it has nothing to wait for";
}

}  // namespace
}  // namespace ds::scheduler
