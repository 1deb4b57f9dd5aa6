// Jobs that were promised a moment to start, where tenants share the cluster.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/unit/scheduler/random_deadlines.hpp"
#include "tests/unit/scheduler/seeds.hpp"
#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// At rest, where nothing but slots is short and nobody is young: the first of a queue whose minimum is
/// within what that has left of its guarantee runs, whoever was promised anything. `spared`: those that wait
/// were seen beside a promise.
void expect_guarantees_met(const ClusterModel& cluster, std::size_t& spared) {
  const Plan rest = cluster.plan();
  const bool has_promise =
      std::ranges::any_of(rest.waits, [&](const Wait& wait) { return cluster.demand(wait.job).has_promise; });
  if (!has_promise || std::ranges::any_of(cluster.demands, &Demand::is_young)) return;
  for (const Wait& wait : rest.waits) {
    const Demand& demand = cluster.demand(wait.job);
    const bool is_first = std::ranges::none_of(rest.waits, [&](const Wait& other) {
      const Demand& one = cluster.demand(other.job);
      return one.tenant == demand.tenant && one.queue == demand.queue &&
             std::tuple(one.has_promise, one.priority, demand.order) >
                 std::tuple(demand.has_promise, demand.priority, one.order);
    });
    if (!is_first || demand.has_promise) continue;
    ++spared;
    bool is_within = true;
    for (std::size_t queue = cluster.tenants.find(demand.tenant, demand.queue).value(); queue != 0;
         queue = cluster.tenants[queue].parent) {
      SlotCount used = demand.workers.min;
      for (const Lease& lease : cluster.leases)
        used +=
            cluster.tenants.is_below(cluster.tenants.find(lease.tenant, lease.queue).value(), queue) ? 1 : 0;
      is_within = is_within && used <= cluster.tenants[queue].guaranteed;
    }
    EXPECT_FALSE(is_within) << wait.job << " waits: " << wait.reasons.front().text;
  }
}

/// Of trees of queues, whatever they are guaranteed, lend and borrow.
TEST(DeadlinePromise, IsKeptAmongTenantsWhoeverElseComes) {
  DeadlinesSeen seen;
  std::size_t spared = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Deadlines future(seed);
    future.share(seed % 4 == 0);
    for (int i = 0; i < 6; ++i) future.submit_any();
    int arrivals = 20;
    do {
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (arrivals-- > 0) future.submit_any();
      if (seed % 3 == 0) future.disturb();
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (seed % 4 == 0 && future.replicas_ + future.crashes_ == 0)
        expect_guarantees_met(future.cluster_, spared);
    } while (future.go_on());
    seen.add(future);
  }
  if (seeds.are_chosen()) return;
  seen.expect_enough(10, 0);
  EXPECT_GT(spared, 20U);
}

class DeadlinePromiseAmongTenants : public TenantCluster {
 protected:
  std::optional<std::int64_t> promise_to(const std::string& job) { return promise(cluster_, job); }
  Demand& add_limited(const std::string& job, const std::string& tenant, WorkerCount workers,
                      std::int64_t lasts_ms = 10'000) {
    Demand& demand = add(job, tenant, workers);
    demand.lasts_ms = lasts_ms;
    return demand;
  }
};

TEST_F(DeadlinePromiseAmongTenants, HasItsSlotsBackFromWhoHasBorrowedThem) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add("elastic", "b", {2, 8});
  cluster_.settle();
  add_limited("first", "a", {2, 2});
  EXPECT_EQ(promise_to("first"), 0) << "workers leave at once here";
  cluster_.settle();
  add("gang", "b", {4, 4});
  cluster_.demand("elastic").workers.max = 2;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("gang"), 4U);
  add_limited("second", "a", {2, 2});
  EXPECT_EQ(promise_to("second"), 0) << "one that has borrowed is preempted";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("second"), 2U);
  add_limited("third", "a", {1, 1});
  EXPECT_EQ(promise_to("third"), 10'000) << "it would borrow until then";
}

TEST_F(DeadlinePromiseAmongTenants, IsWhenJobsOfItsQueueHaveEndedAndLentSlotsAreBack) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 6}, b: {guaranteed: 2}}\n");
  add_limited("own", "a", {3, 3});
  add("borrower", "b", {5, 5});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("borrower"), 5U);
  add_limited("late", "a", {6, 6});
  ASSERT_EQ(promise_to("late"), 10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("borrower"), 5U) << "nothing is taken before";
  cluster_.go_on_until(10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("late"), 6U);
}

TEST_F(DeadlinePromiseAmongTenants, IsNotBeforeBorrowersHaveEndedThatNeedNotGiveWay) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add_limited("fixed", "b", {8, 8}, 20'000);
  cluster_.settle();
  cluster_.demand("fixed").preemptible = false;  // as it was when a was guaranteed less
  add_limited("late", "a", {2, 2});
  EXPECT_EQ(promise_to("late"), 20'000);
  cluster_.demand("late").has_promise = false;
  cluster_.demand("fixed").ends_ms = 0;
  EXPECT_EQ(promise_to("late"), std::nullopt);
}

TEST_F(DeadlinePromiseAmongTenants, IsNotGivenForMoreThanIsGuaranteed) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add_limited("runs", "b", {8, 8});
  cluster_.settle();
  add_limited("late", "a", {5, 5});
  EXPECT_EQ(promise_to("late"), std::nullopt);
}

TEST_F(DeadlinePromiseAmongTenants, KeepsOutOnlyWhoWouldNotGiveItsSlotsBack) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 6}, b: {guaranteed: 2}, c: {}}\n");
  add_limited("own", "a", {4, 4});
  cluster_.settle();
  add_limited("late", "a", {6, 6});
  ASSERT_EQ(promise_to("late"), 10'000);
  add_limited("young", "c", {1, 1}, 90'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("young"), 1U) << "it leaves enough";
  cluster_.demand("young").is_young = true;
  cluster_.demand("young").young_until_ms = 60'000;
  add_limited("more", "c", {2, 2}, 90'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("more"), 0U);
  EXPECT_EQ(
      text_of(cluster_.plan(), "more"),
      "needs 2 workers of 1 slot each, and late was promised its room from 1970-01-01T00:00:10Z on at the "
      "latest, in 10 s, which it would not have beside this job, which may run for 90 s");
  add_limited("brief", "c", {2, 2}, 9'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("brief"), 2U) << text_of(cluster_.plan(), "brief");
  cluster_.go_on_until(10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("late"), 6U);
}

/// It lacks one worker, which it has back though the promise comes first: it is no borrower.
TEST_F(DeadlinePromiseAmongTenants, IsNotBeforeAGangHasEndedThatKeepsItsMinimumOfTheGuarantee) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add_limited("gang", "a", {2, 2}, 20'000).preemptible = false;
  cluster_.settle();
  cluster_.lose_worker(cluster_.leases.front().worker);
  cluster_.demand("gang").held = true;
  add_limited("late", "a", {3, 3});
  ASSERT_EQ(promise_to("late"), 20'000);
  cluster_.demand("gang").held = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 2U);
  cluster_.go_on_until(20'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("late"), 3U);
}

/// `grows` could not give back what `late` is guaranteed.
TEST_F(DeadlinePromiseAmongTenants, IsNotBrokenByWhoGrowsWhileItsRoomIsComing) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add("grows", "a", {1, 1}).preemptible = false;
  add("borrows", "b", {5, 5});
  cluster_.settle();
  cluster_.demand("grows").workers.max = 4;
  add_limited("late", "a", {3, 3});
  ASSERT_EQ(promise_to("late"), 0);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("grows"), 1U);
  EXPECT_EQ(cluster_.live("late"), 3U);
}

TEST_F(DeadlinePromiseAmongTenants, WaitsForItsGuaranteeThoughItCouldBorrow) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {}}\n");
  add_limited("own", "a", {3, 3}).preemptible = false;
  cluster_.settle();
  add_limited("late", "a", {2, 2});
  ASSERT_EQ(promise_to("late"), 10'000);
  EXPECT_TRUE(cluster_.plan().placements.empty());
  EXPECT_EQ(
      text_of(cluster_.plan(), "late"),
      "needs 2 workers of 1 slot each within what a is guaranteed, and not so many are left of that now: "
      "as nothing is taken from a job with a promised deadline, it borrows nothing");
  EXPECT_EQ(cluster_.plan().waits[0].reasons[0].blocking, std::vector<std::string>{"own"});
}

TEST_F(DeadlinePromiseAmongTenants, IsGivenToOneThatWaitsAtATime) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  add_limited("own", "a", {4, 4});
  add_limited("other", "b", {3, 3}, 30'000);
  cluster_.settle();
  add_limited("first", "a", {3, 3}, 20'000);
  ASSERT_EQ(promise_to("first"), 10'000);
  add_limited("second", "b", {4, 4}, 20'000);
  EXPECT_EQ(promise_to("second"), std::nullopt);
  cluster_.demand("second").has_promise = false;
  add_limited("third", "b", {1, 1}, 20'000);
  EXPECT_EQ(promise_to("third"), 0) << "it need not wait";
}

/// In two queues, since they were given before there were tenants.
TEST_F(DeadlinePromiseAmongTenants, AreKeptToSeveralThatWait) {
  cluster_.add_node("n", 8);
  add_limited("own", "a", {4, 4});
  add_limited("other", "b", {4, 4}, 30'000);
  cluster_.settle();
  add_limited("first", "a", {3, 3}, 20'000);
  ASSERT_EQ(promise_to("first"), 10'000);
  add_limited("second", "a", {2, 2}, 20'000);
  ASSERT_EQ(promise_to("second"), 30'000);
  add_limited("third", "b", {4, 4}, 20'000);
  ASSERT_EQ(promise_to("third"), 30'000);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}\n");
  cluster_.settle();
  cluster_.go_on_until(10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("first"), 3U);
  EXPECT_EQ(cluster_.live("second"), 0U) << "the queue is guaranteed no more beside the first";
  cluster_.go_on_until(30'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("second"), 2U);
  EXPECT_EQ(cluster_.live("third"), 4U);
}

TEST_F(DeadlinePromiseAmongTenants, OfGpusIsWhenThoseOfItsQueueAreBackAndOfSlotsWhateverGpusOthersHave) {
  cluster_.add_gpu_node("n", 8, 2, "H200");
  use("version: 1\ntenants: {a: {guaranteed: 4, guaranteed_gpus: 1}, b: {guaranteed: 4}}\n");
  add_limited("own", "a", {1, 1}).gpus = 1;
  add("borrows", "b", {1, 1}).gpus = 1;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("own") + cluster_.live("borrows"), 2U);
  add_limited("gpu", "a", {1, 1}).gpus = 1;
  EXPECT_EQ(promise_to("gpu"), 10'000);
  add_limited("slots", "b", {2, 2});
  EXPECT_EQ(promise_to("slots"), 0);
}

/// Though it is first in its queue, and waits.
TEST_F(DeadlinePromiseAmongTenants, KeepsNoOtherQueueFromWhatThatIsGuaranteed) {
  cluster_.add_node("n", 8);
  use("version: 1\ntenants: {a: {guaranteed: 4}, b: {guaranteed: 4}, c: {}}\n");
  add_limited("own", "a", {4, 4});
  add("borrower", "c", {4, 4});
  cluster_.settle();
  add_limited("late", "a", {4, 4});
  ASSERT_EQ(promise_to("late"), 10'000);
  add("entitled", "b", {4, 4});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("entitled"), 4U);
  EXPECT_EQ(cluster_.live("borrower"), 0U);
  cluster_.go_on_until(10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("late"), 4U) << text_of(cluster_.plan(), "late");
}

/// `young` would be no obstacle where it is, but once it is old it counts as one of those of whom nobody
/// knows which are left, and where.
TEST_F(DeadlinePromiseAmongTenants, IsKeptHoweverSoonThoseAreOldThatStart) {
  cluster_.add_node("n1", 2, 2 * kGi);
  cluster_.add_node("n2", 2, 0);
  use("version: 1\ntenants: {a: {guaranteed: 2}, b: {guaranteed: 2}, c: {}}\n");
  for (const char* job : {"brief", "own", "late"}) {
    const std::uint32_t workers = job == std::string("late") ? 2 : 1;
    add_limited(job, "a", {workers, workers}).memory_bytes = kGi;
    if (workers == 1) cluster_.settle();
  }
  ASSERT_EQ(promise_to("late"), 10'000);
  add_limited("young", "b", {2, 2}, 90'000);
  cluster_.settle();
  cluster_.end_job("brief");
  cluster_.now_ms = 5'000;
  add_limited("borrows", "c", {1, 1}, 90'000).memory_bytes = kGi;
  cluster_.settle();
  cluster_.demand("borrows").is_young = true;
  cluster_.demand("borrows").young_until_ms = 65'000;
  cluster_.go_on_until(10'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("late"), 2U) << text_of(cluster_.plan(), "late");
  EXPECT_EQ(cluster_.live("young"), 2U);
}

/// Though for its quota whoever leaves would do.
TEST_F(DeadlinePromiseAmongTenants, OfOneNodeTakesFromAnElasticJobTheWorkersThere) {
  cluster_.add_node("large", 4);
  use("version: 1\ntenants: {a: {guaranteed: 5, borrowing_limit: 0}}\n");
  add("elastic", "a", {3, 3});
  add("rest", "a", {1, 1});
  cluster_.settle();
  cluster_.add_node("small", 1);
  cluster_.demand("elastic").workers = {2, 4};
  cluster_.settle();
  ASSERT_EQ(cluster_.live_on("elastic", "small"), 1U) << "its newest";
  add_limited("late", "a", {2, 2}).placement = PlacementRule::same_node;
  ASSERT_EQ(promise_to("late"), 0);
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("late", "large"), 2U) << text_of(cluster_.plan(), "late");
  EXPECT_EQ(cluster_.live("elastic"), 2U);
}

}  // namespace
}  // namespace ds::scheduler
