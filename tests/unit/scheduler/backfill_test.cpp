// What starts behind a job that waits, by example; random clusters are in backfill_property_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

class Backfill : public ::testing::Test {
 protected:
  void add(const std::string& job, WorkerCount workers, std::int64_t lasts_s, std::uint32_t slots = 1,
           std::uint32_t priority = kNormalPriority) {
    cluster_.add_job(job, workers, slots);
    cluster_.demands.back().lasts_ms = lasts_s * 1000;
    cluster_.demands.back().priority = priority;
  }
  std::string text_of(const std::string& job) { return testing::text_of(cluster_.plan(), job); }
  ClusterModel cluster_;
};

TEST_F(Backfill, StartsAJobThatHasEndedBeforeTheWaitingGangHasItsSlots) {
  cluster_.add_node("n1", 4);
  add("running", {3, 3}, 100);
  cluster_.settle();
  add("gang", {4, 4}, 0);
  add("short", {1, 1}, 100);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
}

TEST_F(Backfill, StartsJobsBehindGangsThatWaitEachForItsOwnQuotaHoweverManyTheseAre) {
  constexpr int kTenants = 200;
  std::string tenants = "tenants:\n";
  for (int i = 0; i < kTenants; ++i)
    tenants += "  t" + std::to_string(i) + ": {guaranteed: 4, borrowing_limit: 0}\n";
  cluster_.tenants = std::get<TenantTree>(parse_tenant_file(tenants));
  for (int i = 0; i < kTenants; ++i) {
    const std::string tenant = "t" + std::to_string(i);
    cluster_.add_node("of " + tenant, 4);
    const auto add_of = [&](const std::string& job, std::uint32_t workers, std::int64_t lasts_s) {
      add(job + tenant, {workers, workers}, lasts_s);
      cluster_.demands.back().tenant = tenant;
    };
    add_of("runs", 2, 3600);
    for (int worker = 0; worker < 2; ++worker) cluster_.start_worker("runs" + tenant, "of " + tenant);
    add_of("waits", 4, 3600);
    add_of("short", 1, 60);
  }
  cluster_.tell_ends();
  EXPECT_EQ(cluster_.plan().placements.size(), std::size_t{kTenants});
}

/// One that can be preempted for `urgent` is too young yet.
TEST_F(Backfill, StartsJobsWhereWhoWaitsUntilOneIsOldEnoughCouldNeverBe) {
  cluster_.add_node("cpu", 1);
  cluster_.add_gpu_node("gpu", 4, 1, "H200");
  add("young", {1, 1}, 0, 1, kLowPriority);
  cluster_.demands.back().gpus = 1;
  cluster_.settle();
  cluster_.demand("young").is_young = true;
  add("urgent", {1, 1}, 0, 1, kHighPriority);
  cluster_.demands.back().gpus = 1;
  add("beside", {1, 1}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"beside", "cpu", 1}}));
  cluster_.demand("young").is_young = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("urgent"), 1U);
}

TEST_F(Backfill, KeepsBackAJobThatWouldRunLongerAndSaysByHowMuch) {
  cluster_.now_ms = 1'800'000'000'000;
  cluster_.add_node("n1", 4);
  add("running", {3, 3}, 100);
  cluster_.settle();
  cluster_.now_ms += 40'000;
  add("gang", {4, 4}, 0);
  add("long", {1, 1}, 61);
  add("endless", {1, 1}, 0);
  EXPECT_TRUE(cluster_.plan().placements.empty());
  EXPECT_EQ(
      text_of("long"),
      "needs 1 worker of 1 slot, and 1 job submitted earlier must start first; it would fit now, but gang "
      "has the room from 2027-01-15T08:01:40Z on at the latest, in 60 s, and this job may run for 61 s");
  EXPECT_TRUE(text_of("endless").ends_with("in 60 s, and this job has no time_limit")) << text_of("endless");
  EXPECT_EQ(codes_of(cluster_.plan(), "long").front(), "priority_behind");
}

TEST_F(Backfill, StartsALongJobBesideTheSlotsThatTheGangWillHave) {
  cluster_.add_node("n1", 4);
  add("running", {3, 3}, 100);
  cluster_.settle();
  add("gang", {3, 3}, 0);
  add("endless", {1, 1}, 0);
  add("another", {1, 1}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"endless", "n1", 1}}));
}

TEST_F(Backfill, ChoosesTheNodeThatTheGangDoesNotNeed) {
  cluster_.add_node("narrow", 3);
  cluster_.add_node("wide", 4);
  add("running", {1, 1}, 100, 2);
  cluster_.start_worker("running", "wide");
  cluster_.tell_ends();
  add("wide gang", {1, 1}, 0, 4);
  add("endless", {2, 2}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"endless", "narrow", 2}}));
}

TEST_F(Backfill, UsesNodesThatAreOfNoUseToAGangWhoseMomentNobodyKnows) {
  cluster_.add_node("narrow", 3);
  cluster_.add_node("wide", 4);
  add("running", {1, 1}, 0, 2);
  cluster_.start_worker("running", "wide");
  add("wide gang", {1, 1}, 0, 4);
  add("endless", {1, 1}, 0);
  add("large", {4, 4}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"endless", "narrow", 1}}));
  EXPECT_NE(text_of("large").find("nobody knows when wide gang needs the room"), std::string::npos);
}

TEST_F(Backfill, StartsAJobThatHasEndedBeforeThoseWithoutALimitAreLikelyTo) {
  cluster_.now_ms = 1'800'000'000'000;
  cluster_.add_node("n1", 4);
  add("running", {3, 3}, 0);
  cluster_.settle();
  add("gang", {4, 4}, 0);
  add("long", {1, 1}, 101);
  add("endless", {1, 1}, 0);
  cluster_.demand("running").likely_ends_ms = cluster_.now_ms + 100'000;
  EXPECT_EQ(
      text_of("long"),
      "needs 1 worker of 1 slot, and 1 job submitted earlier must start first; it would fit now, but gang is "
      "likely to have the room from about 2027-01-15T08:01:40Z on, in 100 s, by what running jobs without a "
      "time_limit have left, and this job may run for 101 s");
  EXPECT_TRUE(text_of("endless").ends_with("and this job has no time_limit")) << text_of("endless");
  add("short", {1, 1}, 100);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
  cluster_.demand("running").likely_ends_ms = 0;
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "nobody knows when it ends";
  cluster_.demand("running").likely_ends_ms = cluster_.now_ms + 100'000;
  cluster_.demand("gang").has_promise = true;
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "what was promised hangs on no estimate";
}

TEST_F(Backfill, LetsNobodyStayInRoomThatAShortJobUsesUntilThoseInTheWayAreLikelyToEnd) {
  for (const char* node : {"n1", "n2"}) cluster_.add_node(node, 4);
  add("running", {1, 1}, 0, 4);
  cluster_.settle();
  cluster_.demand("running").likely_ends_ms = 100'000;
  add("gang", {2, 2}, 0, 4);
  add("short", {1, 1}, 100);
  add("endless", {1, 1}, 0);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("short"), 1U);
  EXPECT_EQ(cluster_.live("endless"), 0U) << "the gang has no room beside the short one, but once that ends";
  cluster_.end_job("running");
  cluster_.go_on_until(100'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 2U);
}

TEST_F(Backfill, LetsNobodyHideBehindOneThatHasEndedBeforeThoseWithoutALimitAreLikelyTo) {
  cluster_.add_node("n1", 6);
  cluster_.add_node("n2", 6);
  add("running", {1, 1}, 0);
  cluster_.settle();
  cluster_.demand("running").likely_ends_ms = 100'000;
  add("gang", {4, 4}, 0, 3);
  add("short", {4, 4}, 100);
  add("endless", {1, 1}, 0);  // with `short` there, there is no room for one of the gang anyway
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 4}}));
}

TEST_F(Backfill, GoesByTheLastToEndOfThoseThatHaveLimitsAndThoseThatAreLikelyTo) {
  cluster_.add_node("n1", 6);
  add("limited", {2, 2}, 50);
  add("unlimited", {2, 2}, 0);
  cluster_.settle();
  cluster_.demand("unlimited").likely_ends_ms = 80'000;
  add("gang", {6, 6}, 0);
  add("too long", {1, 1}, 81);
  add("short", {1, 1}, 80);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
  cluster_.demand("limited").ends_ms = 90'000;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"too long", "n1", 1}, {"short", "n1", 1}}));
  add("unknown", {1, 1}, 0);
  cluster_.start_worker("unknown", "n1");
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "of one in the way nothing is known";
}

TEST_F(Backfill, CountsOnceWhatAJobThatIsLikelyToEndHasAboveItsMinimum) {
  cluster_.add_node("n1", 6);
  add("elastic", {1, 2}, 0);
  add("fixed", {2, 2}, 0);
  cluster_.settle();
  cluster_.demand("elastic").likely_ends_ms = 50'000;
  cluster_.demand("fixed").likely_ends_ms = 80'000;
  add("gang", {5, 5}, 0);
  add("too long", {1, 1}, 81);
  add("short", {1, 1}, 80);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
}

TEST_F(Backfill, GoesByLimitsAloneFromWhenTheySayWhenTheFirstHasItsSlots) {
  cluster_.add_node("n1", 4);
  add("soon", {1, 1}, 0);
  add("later", {1, 1}, 0);
  add("limited", {1, 1}, 90);
  cluster_.settle();
  cluster_.demand("soon").likely_ends_ms = 10'000;
  cluster_.demand("later").likely_ends_ms = 50'000;
  add("gang", {3, 3}, 0);
  add("short", {1, 1}, 80);
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "it may run for longer than 50 s";
  EXPECT_NE(text_of("short").find("gang is likely to have the room from about "), std::string::npos)
      << text_of("short");
  cluster_.now_ms = 10'000;
  cluster_.end_job("soon");
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}})) << "has ended by 90 s";
}

TEST_F(Backfill, LetsNobodyPassWhileSlotsAreBecomingFreeForTheFirst) {
  cluster_.add_node("n1", 4);
  add("elastic", {1, 4}, 0);
  cluster_.settle();
  cluster_.add_node("n2", 1);
  cluster_.demand("elastic").workers.max = 4;
  add("gang", {1, 1}, 0, 2);
  add("short", {1, 1}, 10);
  cluster_.carry_out(cluster_.plan());
  EXPECT_EQ(cluster_.live("short"), 0U);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 1U);
  EXPECT_EQ(cluster_.live("short"), 1U);
}

TEST_F(Backfill, LetsNobodyPassAJobThatMayPreemptYoungOnesSoon) {
  cluster_.add_node("n1", 3);
  add("young", {2, 2}, 1000, 1, kLowPriority);
  cluster_.settle();
  cluster_.demand("young").is_young = true;
  add("urgent", {3, 3}, 0, 1, kHighPriority);
  add("short", {1, 1}, 10, 1, kLowPriority);
  EXPECT_TRUE(cluster_.plan().placements.empty());
  cluster_.demand("young").is_young = false;
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"young", "urgent"}}));
}

TEST_F(Backfill, GrowsNobodyIntoAGangsSlotsWhoCannotBeShrunkForIt) {
  cluster_.add_node("n1", 4);
  add("running", {2, 2}, 100);
  add("urgent", {1, 1}, 0, 1, kHighPriority);
  cluster_.settle();
  cluster_.demand("urgent").workers.max = 4;
  add("gang", {3, 3}, 0);
  EXPECT_TRUE(cluster_.plan().placements.empty());
  cluster_.demand("urgent").priority = kNormalPriority;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"urgent", "n1", 1}}));
}

TEST_F(Backfill, TakesThoseBehindInTheirOrder) {
  cluster_.add_node("n1", 4);
  add("running", {2, 2}, 100, 1, kHighPriority);
  cluster_.settle();
  add("gang", {4, 4}, 0);
  add("too long", {1, 1}, 200);
  add("second", {2, 2}, 50);
  add("first", {1, 1}, 50, 1, kNormalPriority + 1);
  cluster_.demand("gang").priority = kHighPriority;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"first", "n1", 1}}));
}

TEST_F(Backfill, KeepsAQuotaForTheFirstThatWaitsForIt) {
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.tenants.queues.push_back({.name = "a", .depth = 1, .guaranteed = 4, .borrowing_limit = 0});
  cluster_.tenants.queues.push_back({.name = "b", .depth = 1, .guaranteed = 4, .borrowing_limit = 0});
  cluster_.add_node("n1", 16);
  add("running", {3, 3}, 100);
  add("gang", {4, 4}, 0);
  add("long", {1, 1}, 200);
  add("short", {1, 1}, 50);
  for (Demand& demand : cluster_.demands) demand.tenant = "a";
  const std::vector<Demand> all = cluster_.demands;
  cluster_.demands = {all[0]};
  cluster_.settle();
  cluster_.demands.insert(cluster_.demands.end(), all.begin() + 1, all.end());
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
}

TEST_F(Backfill, KeepsItForOneWhoseMomentNobodyKnowsToo) {
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.tenants.queues.push_back({.name = "a", .depth = 1, .guaranteed = 4, .borrowing_limit = 0});
  cluster_.tenants.queues.push_back({.name = "b", .depth = 1, .guaranteed = 4, .borrowing_limit = 0});
  cluster_.add_node("narrow", 8, kGi);
  cluster_.add_node("wide", 4, 8 * kGi);
  add("running", {4, 4}, 0);
  cluster_.demands.back().tenant = "b";
  for (int i = 0; i < 4; ++i) cluster_.start_worker("running", "wide");
  cluster_.add_job("first", {1, 1}, 2, 4 * kGi);  // fits on the wide one only
  add("beside", {1, 1}, 0, 2);
  add("beyond", {1, 1}, 0, 2);
  for (const char* job : {"first", "beside", "beyond"}) cluster_.demand(job).tenant = "a";
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"beside", "narrow", 1}}))
      << "both would leave nothing of the quota for the first";
}

TEST_F(Backfill, PromisesTheSameWhetherOrNotAnybodyCouldStartBeside) {
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.tenants.queues.push_back({.name = "a", .depth = 1, .guaranteed = 3, .borrowing_limit = 0});
  cluster_.tenants.queues.push_back({.name = "b", .depth = 1, .guaranteed = 2, .borrowing_limit = 0});
  cluster_.tenants.queues.push_back({.name = "c", .depth = 1, .guaranteed = 2, .borrowing_limit = 0});
  cluster_.add_node("n1", 4);
  add("running", {2, 2}, 100);
  add("elastic", {1, 2}, 0);
  cluster_.demand("elastic").tenant = "b";
  cluster_.demand("running").tenant = "c";
  for (const char* job : {"running", "running", "elastic"}) cluster_.start_worker(job, "n1");
  cluster_.tell_ends();
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"elastic", "n1", 1}}))
      << "while nobody waits";
  add("gang", {3, 3}, 0);
  cluster_.demand("gang").tenant = "a";
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "it could not start at 100 s";
}

/// Grows by several workers at once, since two more bring nothing.
std::shared_ptr<const SpeedCurve> by_threes() {
  return std::make_shared<const SpeedCurve>(
      SpeedCurve{1, {0, 0, 0, std::log(4.0), std::log(4.0), std::log(4.0), std::log(8.0)}, 0});
}

TEST_F(Backfill, ForgetsAStepOfGrowthThatWouldBeInTheWayOnlyInPart) {
  // One planner for all: what it keeps of a job must be as it was, or it is not found when the job changes.
  add("running", {4, 4}, 100);
  add("elastic", {1, 7}, 0);
  cluster_.demand("elastic").curve = by_threes();
  cluster_.demand("elastic").is_settled = true;
  cluster_.demand("elastic").priority = kHighPriority;
  cluster_.add_node("n1", 8);
  for (int i = 0; i < 4; ++i) cluster_.start_worker("running", "n1");
  cluster_.start_worker("elastic", "n1");
  cluster_.tell_ends();
  add("gang", {5, 5}, 0);
  Planner planner;
  planner.set_nodes(cluster_.nodes);
  const auto tell = [&](const std::string& job) {
    std::vector<Lease> leases;
    for (const Lease& lease : cluster_.leases) {
      if (lease.job == job) leases.push_back(lease);
    }
    planner.set_job(job, cluster_.demand(job), leases);
  };
  for (const char* job : {"running", "elastic", "gang"}) tell(job);
  for (int times = 0; times < 2; ++times)
    EXPECT_TRUE(planner.plan({}, cluster_.now_ms).placements.empty()) << "the third would be in the way";
  cluster_.start_worker("elastic", "n1");
  tell("elastic");
  planner.set_job("gang", std::nullopt, {});
  cluster_.demands.pop_back();
  EXPECT_EQ(planner.plan({}, cluster_.now_ms), cluster_.plan());
  planner.set_job("elastic", std::nullopt, {});
  EXPECT_TRUE(planner.plan({}, cluster_.now_ms).placements.empty());
}

TEST_F(Backfill, GrowsByLessWhereTheBestStepWouldBeInTheWay) {
  add("running", {3, 3}, 100);
  add("elastic", {1, 4}, 0);
  cluster_.demand("elastic").curve =
      std::make_shared<const SpeedCurve>(SpeedCurve{1, {0, std::log(1.5), std::log(2.0), std::log(8.0)}, 0});
  cluster_.demand("elastic").is_settled = true;
  cluster_.demand("elastic").priority = kHighPriority;
  cluster_.add_node("n1", 7);
  for (int i = 0; i < 3; ++i) cluster_.start_worker("running", "n1");
  cluster_.start_worker("elastic", "n1");
  cluster_.tell_ends();
  add("gang", {5, 5}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"elastic", "n1", 1}}))
      << "three would be better, one leaves five for the gang";
}

TEST_F(Backfill, LetsNobodyKeepForGrowthWhatAGangWillNeed) {
  add("running", {2, 2}, 100);
  add("elastic", {1, 4}, 0);
  add("short", {1, 2}, 50);
  cluster_.demand("elastic").curve =
      std::make_shared<const SpeedCurve>(SpeedCurve{1, {0, std::log(2.0), std::log(3.0), std::log(4.0)}, 0});
  cluster_.demand("short").curve = std::make_shared<const SpeedCurve>(SpeedCurve{1, {0, std::log(1.2)}, 0});
  for (const char* job : {"elastic", "short"}) {
    cluster_.demand(job).is_settled = true;
    cluster_.demand(job).priority = kHighPriority;
  }
  cluster_.add_node("n1", 6);
  for (const char* job : {"running", "running", "elastic", "short"}) cluster_.start_worker(job, "n1");
  cluster_.tell_ends();
  add("gang", {5, 5}, 0);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}))
      << "it has ended by then; the other would take a slot of the gang's";
}

TEST_F(Backfill, ForecastsTheStartsOfThoseThatWait) {
  cluster_.add_node("n1", 4);
  add("running", {4, 4}, 100);
  cluster_.settle();
  cluster_.now_ms = 10'000;
  add("first", {3, 3}, 50);
  add("second", {2, 2}, 30);
  add("held", {1, 1}, 30);
  cluster_.demand("held").held = true;
  const auto forecast = [&](const std::string& job) {
    Planner planner;
    planner.set_nodes(cluster_.nodes);
    for (const Demand& demand : cluster_.demands)
      planner.set_job(demand.job, demand, demand.job == "running" ? cluster_.leases : std::vector<Lease>{});
    const GangEnds ends{.earliest_ms = [](const std::string&) { return 70'000; }, .leaving_ms = 1'000};
    return planner.forecast(job, ends, {}, cluster_.now_ms);
  };
  EXPECT_EQ(forecast("running"), std::nullopt);
  EXPECT_EQ(forecast("held"), std::nullopt);
  EXPECT_EQ(forecast("first"), (StartForecast{70'000, 101'000}));
  // All that can run when the first has started are gone 90 s later: what runs now, if it started again.
  EXPECT_EQ(forecast("second"), (StartForecast{70'000, 192'000}));
  cluster_.demand("first").lasts_ms = 0;
  EXPECT_EQ(forecast("second"), (StartForecast{70'000, std::nullopt}));
  cluster_.demand("running").ends_ms = 0;
  EXPECT_EQ(forecast("first"), (StartForecast{70'000, std::nullopt}));
}

}  // namespace
}  // namespace ds::scheduler
