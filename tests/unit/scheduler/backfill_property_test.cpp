// What starts behind a job that waits, in random clusters that are followed to their end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/random_future.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// In how many milliseconds a job has its slots, as the reasons of those behind it say.
std::optional<std::int64_t> moment_said_of(const Plan& plan, const std::string& job, const std::string& has,
                                           const std::string& in) {
  for (const Wait& wait : plan.waits) {
    for (const Reason& reason : wait.reasons) {
      const auto found = reason.text.find(in);
      if (reason.text.find("but " + job + has) == std::string::npos || found == std::string::npos) continue;
      return 1000 * std::stoll(reason.text.substr(found + in.size()));
    }
  }
  return std::nullopt;
}

TEST(BackfillProperty, TheFirstNeverStartsLaterThanWhenItWasFirstPromised) {
  std::size_t promises = 0, early = 0, passed = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed, seed % 2 == 1);
    for (int i = 0; i < 8; ++i) future.submit(kNormalPriority);
    std::map<std::string, std::int64_t> promised;
    int arrivals = 12;
    do {
      future.settle();
      const Plan plan = future.cluster_.plan();
      for (const Wait& wait : plan.waits) {
        const auto in = moment_said_of(plan, wait.job, " has the room from ", " on at the latest, in ");
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
  if (seeds.are_chosen()) return;
  EXPECT_GT(promises, 500U);
  EXPECT_GT(early, 100U);
  EXPECT_GT(passed, 10'000U);
}

void tell(Planner& planner, const ClusterModel& cluster) {
  planner.set_nodes(cluster.nodes);
  for (const Demand& demand : cluster.demands) {
    std::vector<Lease> leases;
    for (const Lease& lease : cluster.leases) {
      if (lease.job == demand.job) leases.push_back(lease);
    }
    planner.set_job(demand.job, demand, leases);
  }
}

/// Some have no limit, and it is known when they end. What is said holds unless it is known for certain later
/// on, by limits: from then on that moment holds, which may be a later one.
TEST(BackfillProperty, TheFirstNeverStartsLaterThanSaidWhereThoseWithoutALimitEndWhenTheyAreLikelyTo) {
  std::size_t said = 0, passed = 0;
  const Seeds seeds(4000);  // of which most start since they are in the way in no case
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed);
    const auto submit = [&] {
      const std::size_t before = future.cluster_.demands.size();
      future.submit(kNormalPriority);
      const bool has_come = future.cluster_.demands.size() > before;
      if (has_come && between(future.random_, 0, 2) == 0) future.cluster_.demands.back().lasts_ms = 0;
    };
    const auto settle = [&] {
      future.settle();
      bool has_changed = false;
      for (Demand& demand : future.cluster_.demands) {
        const auto since = future.since_.find(demand.job);
        const bool runs = demand.lasts_ms == 0 && since != future.since_.end();
        const auto ends_ms = runs ? since->second + future.left_.at(demand.job) : 0;
        has_changed |= ends_ms != std::exchange(demand.likely_ends_ms, ends_ms);
      }
      if (!has_changed) return;
      const std::size_t started = future.started_.size();
      future.settle();
      passed += future.started_.size() - started;
    };
    for (int i = 0; i < 8; ++i) submit();
    std::map<std::string, std::int64_t> moments, certain;
    int arrivals = 12;
    do {
      settle();
      Planner planner;
      tell(planner, future.cluster_);
      const Plan plan = future.cluster_.plan();
      for (const Wait& wait : plan.waits) {
        const auto in = moment_said_of(plan, wait.job, " is likely to have the room from about ", " on, in ");
        if (in && moments.emplace(wait.job, future.cluster_.now_ms + *in).second) ++said;
      }
      for (const auto& [job, moment] : moments) {
        const auto started = future.started_.find(job);
        const bool waits = started == future.started_.end();
        const std::int64_t at = waits ? future.cluster_.now_ms : started->second;
        const auto known = waits ? planner.promised_start(job, 0, {}, at) : std::nullopt;
        if (known) certain.emplace(job, *known);
        const auto limits = certain.find(job);
        ASSERT_LE(at, limits == certain.end() ? moment : std::max(moment, limits->second))
            << "seed " << seed << ": " << job;
      }
      if (arrivals-- > 0) {
        submit();
        settle();
      }
    } while (future.go_on());
    ASSERT_TRUE(future.cluster_.demands.empty()) << "seed " << seed << ": somebody never starts";
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(said, 100U);
  EXPECT_GT(passed, 50U);
}

/// Among equals, a job with n others ahead of it has started after n + 1 times the longest limit.
TEST(BackfillProperty, NobodyStarves) {
  std::size_t overtaken = 0;
  const Seeds seeds(800);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed, seed % 2 == 1);
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
  if (seeds.are_chosen()) return;
  EXPECT_GT(overtaken, 500U);
}

/// With priorities it counts from when the last has come that is more urgent, and n are all those before it
/// that have not ended then: they may be preempted and wait again.
TEST(BackfillProperty, NobodyStarvesOnceNoMoreUrgentOnesCome) {
  constexpr std::int64_t kLongest_ms = 50'000;
  std::size_t moved = 0, checked = 0;
  const Seeds seeds(600);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed, seed % 2 == 1);
    std::map<std::string, std::int64_t> bounds;
    const auto bound = [&](const Demand& job) {
      std::int64_t before = 0;
      for (const Demand& other : future.cluster_.demands)
        before += std::pair(other.priority, job.order) > std::pair(job.priority, other.order) ? 1 : 0;
      bounds[job.job] = future.cluster_.now_ms + (before + 1) * kLongest_ms;
    };
    const auto submit = [&] {
      const auto before = future.cluster_.demands.size();
      static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
      future.submit(kPriorities[below(future.random_, 3)]);
      if (future.cluster_.demands.size() == before) return;
      const Demand newest = future.cluster_.demands.back();
      bound(newest);
      for (const Demand& other : future.cluster_.demands) {
        if (other.priority >= newest.priority || future.started_.contains(other.job)) continue;
        bound(other);
        ++moved;
      }
    };
    for (int i = 0; i < 4; ++i) submit();
    int arrivals = 30;
    do {
      future.settle();
      for (const auto& [job, latest] : bounds) {
        const auto started = future.started_.find(job);
        ASSERT_LE(started == future.started_.end() ? future.cluster_.now_ms : started->second, latest)
            << "seed " << seed << ": " << job;
      }
      while (arrivals > 0 && future.cluster_.demands.size() < 6) {
        --arrivals;
        submit();
      }
      future.settle();
    } while (future.go_on());
    EXPECT_TRUE(future.cluster_.demands.empty());
    checked += bounds.size();
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(checked, 5'000U);
  EXPECT_GT(moved, 500U);
}

/// And as long as they come there is no bound.
TEST(BackfillProperty, TheLessUrgentWaitAsLongAsMoreUrgentOnesCome) {
  ClusterModel cluster;
  cluster.add_node("n", 1);
  const auto submit = [&](const std::string& job, std::uint32_t priority) {
    cluster.add_job(job, {1, 1});
    cluster.demands.back().priority = priority;
    cluster.demands.back().lasts_ms = 1'000;
    cluster.demands.back().order = cluster.next_worker + cluster.demands.size();
  };
  submit("urgent 0", kNormalPriority);
  submit("low", kLowPriority);
  for (int i = 1; i <= 200; ++i) {
    submit("urgent " + std::to_string(i), kNormalPriority);
    cluster.settle();
    ASSERT_EQ(cluster.live("low"), 0U) << i;
    cluster.now_ms += 1'000;
    cluster.end_job("urgent " + std::to_string(i - 1));
  }
  cluster.end_job("urgent 200");
  cluster.settle();
  EXPECT_EQ(cluster.live("low"), 1U);
}

/// Workers of one slot on enough nodes, so that nothing is scattered; the other tenants always want more than
/// there is.
TEST(BackfillProperty, NobodyStarvesWithinWhatItsQueueIsGuaranteedWhoeverElseComes) {
  constexpr std::int64_t kLongest_ms = 50'000;
  std::size_t checked = 0, waited = 0;
  const Seeds seeds(300);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed);
    ClusterModel& cluster = future.cluster_;
    cluster.has_parts = false;
    cluster.nodes.clear();
    for (std::uint64_t i = 0; i < 2 + below(future.random_, 3); ++i)
      cluster.add_node("n" + std::to_string(i), 4);
    cluster.tenants = std::get<TenantTree>(parse_tenant_file(
        "version: 1\ntenants:\n  a: {guaranteed: 4}\n  b: {guaranteed: 2, weight: 3}\n  c: {}\n"));
    std::map<std::string, std::int64_t> bounds;
    const auto submit = [&](const std::string& tenant) {
      const auto before = cluster.demands.size();
      static constexpr std::uint32_t kPriorities[] = {kNormalPriority, kCriticalPriority};
      future.submit(tenant == "a" ? kNormalPriority : kPriorities[below(future.random_, 2)]);
      if (cluster.demands.size() == before) return;
      Demand& demand = cluster.demands.back();
      demand.tenant = tenant;
      demand.slots = 1;
      demand.memory_bytes = demand.gpus = 0;
      demand.placement = PlacementRule::pack;
      if (tenant != "a") return;
      // Those that have borrowed may be preempted, and wait before it again.
      const auto with_it = std::ranges::count(cluster.demands, "a", &Demand::tenant);
      bounds[demand.job] = cluster.now_ms + with_it * kLongest_ms;
    };
    const auto count = [&](const std::string& tenant) {
      return std::ranges::count(cluster.demands, tenant, &Demand::tenant);
    };
    int moments = 60;
    do {
      for (const char* tenant : {"b", "c"}) {
        for (int i = 0; moments > 0 && i < 4 && count(tenant) < 6; ++i) submit(tenant);
      }
      if (moments > 0 && count("a") < 3 && below(future.random_, 3) > 0) submit("a");
      --moments;
      future.settle();
      for (const auto& [job, latest] : bounds) {
        const auto started = future.started_.find(job);
        ASSERT_LE(started == future.started_.end() ? cluster.now_ms : started->second, latest)
            << "seed " << seed << ": " << job;
        waited += started == future.started_.end() ? 1 : 0;
      }
    } while (future.go_on());
    checked += bounds.size();
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(checked, 2'000U);
  EXPECT_GT(waited, 200U);
}

/// What was forecast of jobs that wait, as the future went on.
class Forecasts {
 public:
  explicit Forecasts(Future& future) : future_(future) {}

  void tell_all() {
    Planner planner(future_.cluster_.tenants);
    tell(planner, future_.cluster_);
    const GangEnds ends{.earliest_ms = [&](const std::string& job) { return future_.estimate(job); }};
    for (const Demand& demand : future_.cluster_.demands) {
      const auto said = planner.forecast(demand.job, ends, {}, future_.cluster_.now_ms);
      if (!future_.cluster_.tenants.has_tenants()) {
        EXPECT_EQ(said.has_value(), future_.cluster_.live(demand.job) == 0);
      }
      if (said) all_.push_back({demand.job, *said, future_.cluster_.now_ms});
    }
  }
  void check(std::uint64_t seed) {
    std::set<std::string> jobs_told;
    for (const auto& [job, said, now_ms] : all_) {
      const auto& starts = future_.starts_[job];
      const auto started = starts.lower_bound(now_ms);
      if (future_.cluster_.tenants.has_tenants() && started == starts.end()) {
        ASSERT_FALSE(said.to_ms) << "seed " << seed << ": " << job << " never starts";
        continue;
      }
      ASSERT_NE(started, starts.end()) << "seed " << seed;
      ASSERT_TRUE(said.from_ms);
      from_ += *said.from_ms > now_ms ? 1 : 0;
      exact_ += said.from_ms == *started ? 1 : 0;
      to_ += said.to_ms ? 1 : 0;
      waited_ += said.to_ms && *started > now_ms ? 1 : 0;
      latest_ += said.to_ms == *started ? 1 : 0;
      later_in_line_ += said.to_ms && !jobs_told.insert(job).second ? 1 : 0;
      ASSERT_LE(*said.from_ms, *started) << "seed " << seed << ": " << job << " at " << now_ms;
      ASSERT_GE(said.to_ms.value_or(*started), *started)
          << "seed " << seed << ": " << job << " at " << now_ms;
    }
  }

  std::size_t from_ = 0, to_ = 0, later_in_line_ = 0, exact_ = 0, waited_ = 0, latest_ = 0;

 private:
  struct Said {
    std::string job;
    StartForecast forecast;
    std::int64_t now_ms;
  };
  Future& future_;
  std::vector<Said> all_;
};

/// Gangs end between an estimate and their limit; some have no limit, and end some time.
TEST(ForecastProperty, TheTrueStartIsNeverOutsideOfWhatWasForecast) {
  std::size_t from = 0, to = 0, later_in_line = 0, exact = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed);
    for (int i = 0; i < 10; ++i) {
      const std::size_t before = future.cluster_.demands.size();
      future.submit(between(future.random_, 0, 3) == 0 ? kHighPriority : kNormalPriority);
      if (future.cluster_.demands.size() == before || seed % 4 != 0) continue;
      if (between(future.random_, 0, 4) == 0) future.cluster_.demands.back().lasts_ms = 0;
    }
    Forecasts forecasts(future);
    do {
      future.settle();
      forecasts.tell_all();
    } while (future.go_on());
    ASSERT_NO_FATAL_FAILURE(forecasts.check(seed));
    from += forecasts.from_;
    to += forecasts.to_;
    later_in_line += forecasts.later_in_line_;
    exact += forecasts.exact_;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(from, 1000U);
  EXPECT_GT(to, 1000U);
  EXPECT_GT(later_in_line, 500U);
  EXPECT_GT(exact, 200U);
}

/// In a third of them nothing but slots is short, and workers are of one size. Jobs come while others run:
/// some have borrowed by then.
TEST(ForecastProperty, TheTrueStartIsNeverOutsideOfWhatWasForecastAmongTenants) {
  std::size_t from = 0, to = 0, waited = 0, latest = 0;
  const Seeds seeds(1200);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Future future(seed);
    ClusterModel& cluster = future.cluster_;
    const bool has_only_slots = seed % 2 == 0;
    std::uint64_t slots = 0;
    for (NodeView& node : cluster.nodes) {
      slots += node.slots;
      if (has_only_slots) node.memory_bytes = 64 * kGi;
    }
    cluster.tenants = random_tenants(future.random_, slots);
    const auto submit = [&] {
      const std::size_t before = cluster.demands.size();
      future.submit(between(future.random_, 0, 3) == 0 ? kHighPriority : kNormalPriority);
      if (cluster.demands.size() == before) return;
      Demand& demand = cluster.demands.back();
      const char* tenants[] = {"a", "b", "c", "c"};
      const char* queues[] = {"default", "default", "x", "y"};
      const auto leaf = below(future.random_, 4);
      demand.tenant = tenants[leaf];
      demand.queue = queues[leaf];
      if (below(future.random_, 8) == 0) demand.lasts_ms = 0;
      if (!has_only_slots) return;
      if (seed % 6 != 0) demand.slots = 1;
      demand.gpus = 0;
      demand.placement = PlacementRule::pack;
      if (below(future.random_, 4) > 0) demand.preemptible = true;
    };
    for (int i = 0; i < 5; ++i) submit();
    for (int i = 0; i < 2; ++i) {
      future.settle();
      future.go_on();
    }
    for (int i = 0; i < 5; ++i) submit();
    Forecasts forecasts(future);
    do {
      future.settle();
      forecasts.tell_all();
    } while (future.go_on());
    ASSERT_NO_FATAL_FAILURE(forecasts.check(seed));
    from += forecasts.from_;
    to += forecasts.to_;
    waited += forecasts.waited_;
    latest += forecasts.latest_;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(from, 100U);
  EXPECT_GT(to, 150U);
  EXPECT_GT(waited, 150U);
  EXPECT_GT(latest, 30U);
}

TEST(Forecast, IsOpenAmongTenantsWhereWhatIsFreeMayBeScattered) {
  for (const bool is_of_one_size : {true, false}) {
    ClusterModel cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    cluster.tenants = std::get<TenantTree>(
        parse_tenant_file("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n"));
    const auto submit = [&](const std::string& job, const std::string& tenant, SlotCount slots) {
      cluster.add_job(job, {2, 2}, slots);
      cluster.demands.back().tenant = tenant;
      cluster.demands.back().lasts_ms = 10'000;
    };
    for (const char* job : {"a1", "a2"}) submit(job, "a", 2);
    submit("b", "b", is_of_one_size ? 2 : 1);
    cluster.settle();
    submit("a3", "a", 2);
    Planner planner(cluster.tenants);
    tell(planner, cluster);
    const auto said = planner.forecast("a3", {}, {}, 0);
    ASSERT_TRUE(said);
    EXPECT_EQ(said->to_ms.has_value(), is_of_one_size);
  }
}

}  // namespace
}  // namespace ds::scheduler
