// Nobody is preempted in vain: clusters in which somebody was preempted and came back, for ever, and all
// small ones with jobs that are not preemptible.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

class LastingPreemptions : public testing::TenantCluster {
 protected:
  std::vector<std::string> blockers_of(const std::string& job) const {
    std::vector<std::string> found;
    for (const Wait& wait : cluster_.plan().waits) {
      if (wait.job != job) continue;
      for (const Reason& reason : wait.reasons)
        found.insert(found.end(), reason.blocking.begin(), reason.blocking.end());
    }
    return found;
  }
};

/// `claims`, which can't have what `keeps` has, is the first of its queue, and with it `a` would have more
/// than it is guaranteed: so the queue's turn came after `b`'s and `c`'s, and `guaranteed`, behind it, waited
/// or preempted them in turn.
TEST_F(LastingPreemptions, TheTurnOfAQueueIsThatOfTheFirstBehindOneThatOnlyClaims) {
  use("tenants: {a: {guaranteed: 5, queues: {x: {guaranteed: 3, borrowing_limit: 0, queues: {p: {}, q: {}}}, "
      "z: {}}}, b: {}, c: {}}");
  cluster_.add_node("n", 9);
  add_on({"n"}, "keeps", "a", "x/q", {1, 1}).preemptible = false;
  add_on({"n"}, "q", "a", "x/q", {1, 1});
  add_on({"n"}, "z", "a", "z", {1, 1});
  add_on({"n"}, "b", "b", "default", {1, 1}).preemptible = false;
  add("of_b", "b", {3, 3});
  add("of_c", "c", {3, 3});
  Demand& claims = add("claims", "a", "x/p", {3, 3}, kHighPriority);
  claims.preemptible = false;
  add("guaranteed", "a", "x/p", {1, 1}, kHighPriority);
  std::size_t preemptions = 0;
  ASSERT_LT(cluster_.settle(20, [&](const Plan& plan) { preemptions += plan.preemptions.size(); }), 20);
  EXPECT_EQ(preemptions, 0U);
  EXPECT_EQ(cluster_.live("guaranteed"), 1U);
  EXPECT_EQ(cluster_.live("claims"), 0U);
  EXPECT_EQ(cluster_.live("of_b") + cluster_.live("of_c"), 3U);
}

/// `short` starts behind `first`, which waits for nodes with room for it: then it is the turn of `claims`, of
/// whose sister queue more is used, so `first` only claims, and `urgent` would preempt `short`. Without
/// `short` it would be `first`'s turn again.
TEST_F(LastingPreemptions, NobodyIsPreemptedForOneThatWouldBeBehindAnotherThen) {
  use("tenants: {a: {guaranteed: 1, lending_limit: 0}, b: {guaranteed: 2}, "
      "c: {queues: {x: {guaranteed: 2}, y: {guaranteed: 1}}}}");
  cluster_.add_gpu_node("n0", 1, 1, "A100");
  cluster_.add_gpu_node("n1", 5, 1, "A100");
  cluster_.add_node("n2", 2);
  add("claims", "c", "x", {3, 3}).preemptible = false;
  Demand& first = add("first", "c", "y", {2, 2}, kHighPriority);
  first.preemptible = false;
  first.gpus = 1;
  add_on({"n2"}, "runs", "c", "x", {2, 2}).preemptible = false;
  add("of_b", "b", {1, 1}).lasts_ms = 90'000;
  add("short", "c", "y", {4, 4}).lasts_ms = 60'000;
  add("urgent", "c", "y", {1, 1}, kHighPriority).gpus = 1;
  std::size_t preemptions = 0;
  ASSERT_LT(cluster_.settle(20, [&](const Plan& plan) { preemptions += plan.preemptions.size(); }), 20);
  EXPECT_EQ(preemptions, 0U);
  EXPECT_EQ(cluster_.live("short"), 4U);
  const auto blockers = blockers_of("urgent");
  EXPECT_NE(std::ranges::find(blockers, "first"), blockers.end()) << "that is whom it waits for";
  cluster_.end_job("first");
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("urgent"), 1U);
}

/// The same with many that could be preempted, each in vain, while in a queue of another tenant `high` may
/// preempt `low`: neither does that count for `urgent`, nor is it kept from it.
TEST_F(LastingPreemptions, WhatIsInVainForOneIsNothingToOthers) {
  for (const int count : {3, 4, 7, 8, 11, 20}) {
    cluster_ = {};
    use("tenants: {a: {guaranteed: 1, lending_limit: 0}, b: {guaranteed: 2}, g: {guaranteed: " +
        std::to_string(count - 3) +
        "}, c: {queues: {x: {guaranteed: 2, weight: 2}, y: {guaranteed: 1, weight: " +
        std::to_string(count - 0.5) + "}}}, d: {weight: 0.01}, e: {}}");
    cluster_.add_gpu_node("n0", 1, 1, "A100");
    cluster_.add_gpu_node("n1", static_cast<std::uint32_t>(count + 1), 1, "A100");
    cluster_.add_node("n2", 2);
    add("claims", "c", "x", {3, 3}).preemptible = false;
    Demand& first = add("first", "c", "y", {2, 2}, kHighPriority);
    first.preemptible = false;
    first.gpus = 1;
    add_on({"n2", "n2"}, "runs", "c", "x", {2, 2}).preemptible = false;
    add_on({"n0"}, "of_b", "b", "default", {1, 1}).lasts_ms = 90'000;
    for (int i = 0; i < count; ++i)
      add_on({"n1"}, "short" + std::to_string(i), "c", "y", {1, 1}).lasts_ms = 60'000;
    cluster_.tell_ends();
    ASSERT_LT(cluster_.settle(20), 20) << count;
    cluster_.add_node("n3", 1);
    add_on({"n3"}, "low", "d", "default", {1, 1}).priority = kLowPriority;
    add("urgent", "c", "y", {1, 1}, kHighPriority).gpus = 1;
    add("high", "d", "default", {1, 1}, kHighPriority);
    ASSERT_LT(cluster_.settle(20), 20) << count;
    EXPECT_EQ(cluster_.live("high"), 1U) << count;
    EXPECT_EQ(cluster_.live("urgent"), 0U) << count;
    const auto blockers = blockers_of("urgent");
    EXPECT_NE(std::ranges::find(blockers, "first"), blockers.end()) << count;
    const std::string text = testing::text_of(cluster_.plan(), "urgent");
    EXPECT_EQ(text.find("would wait all the same if short"), 0U) << text;
  }
}

/// What the first who is preempted leaves `sister` has, whose turn comes before then: it is of higher rank
/// than who had it, so that was not in vain, and `guaranteed` has its slots from the other one after it.
TEST_F(LastingPreemptions, AreMadeWhereAnotherOfHigherRankStartsFirst) {
  use("tenants: {a: {guaranteed: 4, weight: 3}, b: {guaranteed: 1, lending_limit: 0}, "
      "c: {guaranteed: 2, weight: 2, queues: {x: {guaranteed: 1}, y: {guaranteed: 1, weight: 3}}}}");
  cluster_.add_node("n0", 3);
  cluster_.add_node("n1", 6);
  add_on({"n0"}, "of_b", "b", "default", {1, 1}).priority = kHighPriority;
  add_on({"n0", "n0", "n1", "n1"}, "of_x", "c", "x", {4, 4}).priority = kLowPriority;
  add_on({"n1", "n1", "n1", "n1"}, "borrows", "b", "default", {4, 4}).priority = kHighPriority;
  add("sister", "c", "y", {2, 6}, kHighPriority);
  add("guaranteed", "a", "default", {4, 8}, kLowPriority);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("guaranteed"), 4U);
  EXPECT_EQ(cluster_.live("sister"), 4U) << "it grows into what is left";
}

/// With `other` gone it is `sister`'s turn before `guaranteed`'s, and room has to be made for it first: by
/// shrinking `elastic`. Then `guaranteed` has the rest of what that can spare.
TEST_F(LastingPreemptions, AreMadeWhereWhoStartsFirstHasOthersShrunkForIt) {
  use("tenants: {a: {guaranteed: 5, weight: 3, queues: {x: {guaranteed: 4, weight: 2, queues: "
      "{p: {guaranteed: 1}, q: {guaranteed: 3}}}, y: {guaranteed: 1, weight: 3}}}, "
      "b: {guaranteed: 6, weight: 3}, c: {weight: 3}}");
  cluster_.add_node("n", 11);
  add_on({"n", "n", "n", "n"}, "of_b", "b", "default", {4, 4}).priority = kHighPriority;
  add_on({"n", "n", "n", "n", "n"}, "elastic", "a", "x/q", {2, 5}).priority = kLowPriority;
  add_on({"n"}, "other", "c", "default", {1, 1});
  add("sister", "a", "y", {3, 3});
  add("guaranteed", "b", {2, 2}, kHighPriority);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("sister"), 3U);
  EXPECT_EQ(cluster_.live("guaranteed"), 2U);
}

/// Nested queues and another tenant, three jobs of every size, queue and priority, preemptible or not, some
/// of which run before: all come to rest.
TEST_F(LastingPreemptions, NoSmallClusterWithJobsThatAreNotPreemptiblePreemptsInCircles) {
  struct Kind {
    const char* tenant;
    const char* queue;
    std::uint32_t workers;
    std::uint32_t priority;
    bool preemptible;
  };
  std::vector<Kind> kinds;
  for (const auto& [tenant, queue] :
       {std::pair("a", "x/p"), std::pair("a", "x/q"), std::pair("b", "default")}) {
    for (const std::uint32_t workers : {1U, 2U}) {
      for (const std::uint32_t priority : {kLowPriority, kHighPriority}) {
        for (const bool preemptible : {false, true})
          kinds.push_back({tenant, queue, workers, priority, preemptible});
      }
    }
  }
  std::size_t preemptions = 0;
  for (const char* guarantees :
       {"a: {guaranteed: 2, queues: {x: {guaranteed: 1, queues: {p: {}, q: {}}}}}, b: {}",
        "a: {guaranteed: 2, queues: {x: {guaranteed: 2, queues: {p: {guaranteed: 1}, "
        "q: {}}}}}, b: {guaranteed: 1}"}) {
    use("tenants: {" + std::string(guarantees) + "}");
    for (std::size_t code = 0; code < kinds.size() * kinds.size() * kinds.size(); ++code) {
      for (const unsigned running : {0U, 1U, 6U}) {
        testing::ClusterModel cluster;
        cluster.tenants = cluster_.tenants;
        cluster.add_node("n", 3);
        for (std::size_t job = 0, rest = code; job < 3; ++job, rest /= kinds.size()) {
          const Kind& kind = kinds[rest % kinds.size()];
          cluster.add_job(std::string(1, static_cast<char>('a' + job)), {kind.workers, kind.workers});
          Demand& demand = cluster.demands.back();
          demand.tenant = kind.tenant;
          demand.queue = kind.queue;
          demand.priority = kind.priority;
          demand.preemptible = kind.preemptible;
        }
        cluster.settle_alone(running);
        const int rounds =
            cluster.settle(30, [&](const Plan& plan) { preemptions += plan.preemptions.size(); });
        ASSERT_LT(rounds, 30) << guarantees << ", jobs " << code << ", running " << running;
      }
    }
  }
  EXPECT_GT(preemptions, 1'000U);
}

}  // namespace
}  // namespace ds::scheduler
