// What starts behind a job that waits, by example; and by random clusters that are followed to their end.
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
      "has the slots from 2027-01-15T08:01:40Z on at the latest, in 60 s, and this job may run for 61 s");
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
  EXPECT_NE(text_of("large").find("nobody knows when wide gang needs the slots"), std::string::npos);
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

/// Jobs of random lengths that end at their limit or before. Nobody is held, lost or young.
class Future {
 public:
  explicit Future(std::uint64_t seed) : random_(seed) {
    const std::uint32_t nodes = between(random_, 1, 4);
    for (std::uint32_t i = 0; i < nodes; ++i)
      cluster_.add_node("node" + std::to_string(i), between(random_, 1, 6), between(random_, 4, 16) * kGi);
  }

  /// The newest is the last of its priority; no more urgent one comes later.
  void submit(std::uint32_t priority) {
    add_random_job(cluster_, random_, next_++);
    Demand& demand = cluster_.demands.back();
    demand.held = demand.is_young = false;
    demand.priority = priority;
    demand.lasts_ms = 1000 * between(random_, 1, 50);
    if (!fits_alone(demand)) {
      cluster_.demands.pop_back();
      return;
    }
    const auto limit = static_cast<std::uint64_t>(demand.lasts_ms);
    left_[demand.job] =
        between(random_, 1, 2) == 1 ? demand.lasts_ms : 1 + static_cast<std::int64_t>(below(random_, limit));
  }

  /// Plans until nothing changes any more at this moment; notes who has started.
  void settle() {
    EXPECT_LT(cluster_.settle(60), 60);
    for (const Demand& demand : cluster_.demands) {
      const auto since = since_.find(demand.job);
      if (cluster_.live(demand.job) > 0) {
        started_.emplace(demand.job, cluster_.now_ms);
        if (since_.emplace(demand.job, cluster_.now_ms).second) starts_[demand.job].insert(cluster_.now_ms);
      } else if (since != since_.end()) {  // it was preempted
        left_[demand.job] -= cluster_.now_ms - since->second;
        since_.erase(since);
      }
    }
  }

  /// To the moment at which the next job ends; false: none runs.
  bool go_on() {
    if (since_.empty()) return false;
    std::multimap<std::int64_t, std::string> ends;
    for (const auto& [job, since] : since_) ends.emplace(since + left_.at(job), job);
    cluster_.now_ms = std::max(cluster_.now_ms, ends.begin()->first);
    for (const auto& [end, job] : ends) {
      if (end > cluster_.now_ms) continue;
      cluster_.end_job(job);
      since_.erase(job);
    }
    return true;
  }

  /// Before this moment the job's gang does not end; of some it is the very moment.
  std::int64_t estimate(const std::string& job) const {
    const auto since = since_.find(job);
    return since == since_.end() ? 0 : since->second + left_.at(job) * (job.back() % 2 == 0 ? 3 : 2) / 3;
  }

  bool fits_alone(const Demand& demand) const {
    ClusterModel alone;
    alone.nodes = cluster_.nodes;
    alone.demands = {demand};
    return !alone.plan().placements.empty();
  }

  Random random_;
  ClusterModel cluster_;
  std::map<std::string, std::int64_t> left_, started_, since_;  ///< `left_`: as of when its gang began
  std::map<std::string, std::set<std::int64_t>> starts_;
  int next_ = 0;
};

/// The moment that the reasons of those behind a job name as the one at which it has its slots.
std::optional<std::int64_t> moment_said_of(const Plan& plan, const std::string& job) {
  for (const Wait& wait : plan.waits) {
    for (const Reason& reason : wait.reasons) {
      const auto at = reason.text.find("but " + job + " has the slots from ");
      const auto in = reason.text.find(" on at the latest, in ");
      if (at == std::string::npos || in == std::string::npos) continue;
      return 1000 * std::stoll(reason.text.substr(in + 22));
    }
  }
  return std::nullopt;
}

TEST(BackfillProperty, TheFirstNeverStartsLaterThanWhenItWasFirstPromised) {
  std::size_t promises = 0, early = 0, passed = 0;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    Future future(seed);
    for (int i = 0; i < 8; ++i) future.submit(kNormalPriority);
    std::map<std::string, std::int64_t> promised;
    int arrivals = 12;
    do {
      future.settle();
      const Plan plan = future.cluster_.plan();
      for (const Wait& wait : plan.waits) {
        const auto in = moment_said_of(plan, wait.job);
        if (!in) continue;
        // The text's seconds are rounded up.
        if (promised.emplace(wait.job, future.cluster_.now_ms + *in).second) ++promises;
      }
      for (const auto& [job, moment] : promised) {
        const auto started = future.started_.find(job);
        const std::int64_t at = started == future.started_.end() ? future.cluster_.now_ms : started->second;
        ASSERT_LE(at, moment) << "seed " << seed << ": " << job;
        early += started != future.started_.end() && at + 1000 < moment ? 1 : 0;
      }
      if (arrivals-- > 0) future.submit(kNormalPriority);
      future.settle();
    } while (future.go_on());
    ASSERT_TRUE(future.cluster_.demands.empty()) << "seed " << seed << ": somebody never starts";
    passed += future.started_.size();
  }
  EXPECT_GT(promises, 500U);
  EXPECT_GT(early, 100U);
  EXPECT_GT(passed, 10'000U);
}

/// Among equals, a job with n others ahead of it has started after n + 1 times the longest limit.
TEST(BackfillProperty, NobodyStarves) {
  std::size_t overtaken = 0;
  for (std::uint64_t seed = 0; seed < 800; ++seed) {
    Future future(seed);
    std::map<std::string, std::int64_t> bounds;
    std::vector<std::string> order;
    int arrivals = 30;
    const auto submit = [&] {
      const auto before = future.cluster_.demands.size();
      future.submit(kNormalPriority);
      if (future.cluster_.demands.size() == before) return;
      std::int64_t ahead = 0;
      for (const Demand& demand : future.cluster_.demands)
        ahead += future.started_.contains(demand.job) ? 0 : 1;
      const std::string& job = future.cluster_.demands.back().job;
      bounds[job] = future.cluster_.now_ms + ahead * 50'000;
      order.push_back(job);
    };
    for (int i = 0; i < 4; ++i) submit();
    do {
      future.settle();
      for (const auto& [job, bound] : bounds) {
        const auto started = future.started_.find(job);
        ASSERT_LE(started == future.started_.end() ? future.cluster_.now_ms : started->second, bound)
            << "seed " << seed << ": " << job;
      }
      while (arrivals > 0 && future.cluster_.demands.size() < 6) {
        --arrivals;
        submit();
      }
      future.settle();
    } while (future.go_on());
    for (std::size_t i = 1; i < order.size(); ++i)
      overtaken += future.started_.at(order[i - 1]) > future.started_.at(order[i]) ? 1 : 0;
  }
  EXPECT_GT(overtaken, 500U);
}

/// Gangs end between an estimate and their limit; some have no limit, and end some time.
TEST(ForecastProperty, TheTrueStartIsNeverOutsideOfWhatWasForecast) {
  std::size_t from = 0, to = 0, later_in_line = 0, exact = 0;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    Future future(seed);
    for (int i = 0; i < 10; ++i) {
      const std::size_t before = future.cluster_.demands.size();
      future.submit(between(future.random_, 0, 3) == 0 ? kHighPriority : kNormalPriority);
      if (future.cluster_.demands.size() == before || seed % 4 != 0) continue;
      if (between(future.random_, 0, 4) == 0) future.cluster_.demands.back().lasts_ms = 0;
    }
    struct Said {
      std::string job;
      StartForecast forecast;
      std::int64_t now_ms;
    };
    std::vector<Said> all;
    do {
      future.settle();
      Planner planner;
      planner.set_nodes(future.cluster_.nodes);
      for (const Demand& demand : future.cluster_.demands) {
        std::vector<Lease> leases;
        for (const Lease& lease : future.cluster_.leases) {
          if (lease.job == demand.job) leases.push_back(lease);
        }
        planner.set_job(demand.job, demand, leases);
      }
      const GangEnds ends{.earliest_ms = [&](const std::string& job) { return future.estimate(job); }};
      for (const Demand& demand : future.cluster_.demands) {
        const auto said = planner.forecast(demand.job, ends, {}, future.cluster_.now_ms);
        EXPECT_EQ(said.has_value(), future.cluster_.live(demand.job) == 0);
        if (said) all.push_back({demand.job, *said, future.cluster_.now_ms});
      }
    } while (future.go_on());
    std::set<std::string> jobs_told;
    for (const auto& [job, said, now_ms] : all) {
      const auto& starts = future.starts_[job];
      const auto started = starts.lower_bound(now_ms);
      ASSERT_NE(started, starts.end()) << "seed " << seed;
      ASSERT_TRUE(said.from_ms);
      from += *said.from_ms > now_ms ? 1 : 0;
      exact += said.from_ms == *started ? 1 : 0;
      to += said.to_ms ? 1 : 0;
      later_in_line += said.to_ms && !jobs_told.insert(job).second ? 1 : 0;
      ASSERT_LE(*said.from_ms, *started) << "seed " << seed << ": " << job << " at " << now_ms;
      ASSERT_GE(said.to_ms.value_or(*started), *started)
          << "seed " << seed << ": " << job << " at " << now_ms;
    }
  }
  EXPECT_GT(from, 1000U);
  EXPECT_GT(to, 1000U);
  EXPECT_GT(later_in_line, 500U);
  EXPECT_GT(exact, 200U);
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
