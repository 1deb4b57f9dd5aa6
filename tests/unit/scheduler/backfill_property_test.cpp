// What starts behind a job that waits, in random clusters that are followed to their end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
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

/// Jobs of random lengths that end at their limit or before. Nobody is held, lost or young.
class Future {
 public:
  explicit Future(std::uint64_t seed) : random_(seed) {
    const std::uint32_t nodes = between(random_, 1, 4);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      cluster_.add_node("node" + std::to_string(i), between(random_, 1, 6), between(random_, 4, 16) * kGi);
      if (seed % 3 == 0) add_random_gpus(cluster_.nodes.back(), beside(random_));
    }
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

}  // namespace
}  // namespace ds::scheduler
