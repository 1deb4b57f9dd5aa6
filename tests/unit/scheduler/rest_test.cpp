// Clusters among tenants that come to rest: in each of these somebody was once shrunk, moved or preempted,
// and grew, moved or started again, for ever. Random ones are in `TenantProperty`, `RelocationProperty` and
// `GrowthProperty`.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

class Rest : public testing::TenantCluster {};

/// What `urgent` has beyond its minimum says by which quota `gang` is kept: with it its queue's comes first,
/// else its tenant's alone. `one` is behind the latter only, shrinks `urgent`, and then would be behind.
TEST_F(Rest, ComesThoughAGangWaitsThatWouldPassTwoQuotas) {
  use("tenants: {c: {guaranteed: 3, borrowing_limit: 3, "
      "queues: {x: {guaranteed: 0, borrowing_limit: 4}, y: {guaranteed: 0}}}}");
  cluster_.add_node("n", 6);
  add("fixed", "c", "y", {4, 4});
  add("gang", "c", "x", {3, 3});
  add("one", "c", "y", {1, 1});
  add("urgent", "c", "x", {1, 2}).priority = kHighPriority;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("urgent"), 2U);
  EXPECT_EQ(cluster_.live("gang") + cluster_.live("one"), 0U);
}

/// What `elastic` has beyond its minimum, which `gang` could have, makes the same of a quota and what is
/// lent.
TEST_F(Rest, ComesThoughAGangWaitsThatCouldShrinkWhoKeepsItWithinItsQuota) {
  use("tenants: {b: {guaranteed: 3, borrowing_limit: 4, lending_limit: 1}, "
      "c: {queues: {x: {guaranteed: 0}, y: {guaranteed: 0}}}}");
  cluster_.add_gpu_node("n0", 3, 1, "A100");
  cluster_.add_gpu_node("n1", 3, 1, "A100");
  cluster_.add_gpu_node("n2", 4, 1, "A100");
  add("fixed", "c", "y", {4, 4});
  add_on({"n2", "n2", "n2"}, "elastic", "b", "default", {1, 5});
  add_on({"n2"}, "runs", "c", "x", {1, 1});
  add("gang", "b", "default", {3, 3}).gpus = 1;
  add("one", "c", "y", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("gang"), 0U);
}

/// `borrowed` has what both `low` and `first` are guaranteed; `low`, whose turn comes first, may not shrink a
/// more urgent job but for that.
TEST_F(Rest, ComesWithBothGuaranteesMetThoughTheFirstInTurnIsLessUrgentThanWhoHasBorrowed) {
  use("tenants: {a: {guaranteed: 7}, b: {guaranteed: 2}}");
  cluster_.add_node("n1", 5);
  cluster_.add_node("n2", 5);
  add("first", "a", "default", {1, 1});
  add_on({"n1", "n1", "n1", "n1"}, "has four", "a", "default", {1, 4});
  add_on({"n1", "n2", "n2", "n2"}, "borrowed", "b", "default", {1, 4});
  add_on({"n2", "n2"}, "has two", "a", "default", {1, 2});
  add("low", "b", "default", {1, 1}).priority = kLowPriority;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("low"), 1U);
  EXPECT_EQ(cluster_.live("first"), 1U);
}

/// With its other job's worker that is not its minimum `b` would pass what it may have beside what `a` does
/// not lend; so `low`, whose turn comes first, has to take that.
TEST_F(Rest, ComesWithBothGuaranteesMetThoughWhoIsMoreUrgentHasGrownIntoOne) {
  use("tenants: {a: {guaranteed: 4, lending_limit: 0}, b: {guaranteed: 2}}");
  cluster_.add_node("n0", 1);
  cluster_.add_node("n1", 5);
  Demand& grown = add("grown", "b", "default", {1, 2});
  grown.slots = SlotCount::of_thousandths(500);
  for (int i = 0; i < 2; ++i) cluster_.start_worker("grown", "n0");
  Demand& low = add("low", "b", "default", {3, 3});
  low.slots = SlotCount::of_thousandths(500);
  low.priority = kLowPriority;
  add("first", "a", "default", {1, 1});
  add("second", "a", "default", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("low"), 3U);
  EXPECT_EQ(cluster_.live("second"), 1U);
}

/// With one more worker `wide` is within what `x` is guaranteed, not within what `c` is, which `borrowed` has
/// of it: that gave a worker to `wide` and was the first to have it.
TEST_F(Rest, ComesWhereWhoGrowsWithinItsGuaranteeTakesThatFromASisterOfItsQueue) {
  use("tenants: {c: {guaranteed: 4, queues: {x: {guaranteed: 4}, y: {guaranteed: 0}}}}");
  cluster_.add_node("n", 5);
  add("wide", "c", "x", {1, 2}).slots = 2;
  add("borrowed", "c", "y", {1, 2});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("wide"), 2U);
  EXPECT_EQ(cluster_.live("borrowed"), 1U);
}

/// The same where who has borrowed is more urgent.
TEST_F(Rest, ComesWhereASisterOfItsQueueIsMoreUrgentThanWhoGrowsWithinItsGuarantee) {
  use("tenants: {b: {guaranteed: 0}, c: {guaranteed: 4, queues: {x: {guaranteed: 4}, y: {guaranteed: 0}}}}");
  cluster_.add_node("n0", 5);
  cluster_.add_node("n1", 4);
  cluster_.add_node("n2", 4);
  add("borrowed", "c", "y", {3, 4}, kHighPriority);
  add("grows", "c", "x", {1, 4});
  add("two", "b", "default", {2, 2});
  add("four", "b", "default", {4, 5}, kHighPriority);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("grows"), 4U);
  EXPECT_EQ(cluster_.live("borrowed"), 3U);
}

/// `hurt` has lost a worker and is guaranteed it; `urgent`, before it in its queue, is not, as long as `runs`
/// has that. So it was the turn of `one`, which `hurt` preempts, and then again.
TEST_F(Rest, ComesWhereAGangThatLacksAWorkerPreemptsBehindOneOfItsQueue) {
  use("tenants: {a: {guaranteed: 6}, b: {guaranteed: 0}, c: {guaranteed: 0}}");
  cluster_.add_node("n0", 5);
  cluster_.add_node("n1", 1);
  add_on({"n1"}, "hurt", "a", "default", {2, 2}).priority = kLowPriority;
  add("one", "c", "default", {1, 1});
  add_on({"n0", "n0", "n0", "n0"}, "runs", "a", "default", {4, 4}).priority = kLowPriority;
  add("urgent", "a", "default", {3, 3});
  add("other", "b", "default", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("urgent"), 3U);
  EXPECT_EQ(cluster_.live("hurt"), 2U);
}

/// The same with two that are preempted in turn.
TEST_F(Rest, ComesWhereTwoArePreemptedInTurnForAGangThatLacksAWorker) {
  use("tenants: {a: {guaranteed: 6}, b: {guaranteed: 0}, c: {queues: {x: {guaranteed: 0}, y: {guaranteed: "
      "0}}}}");
  cluster_.add_node("n0", 6);
  cluster_.add_node("n1", 3);
  add("two", "c", "y", {2, 2});
  add_on({"n1"}, "hurt", "a", "default", {2, 2});
  add("one", "c", "x", {1, 1});
  add("three", "b", "default", {3, 3});
  add_on({"n1", "n0", "n0"}, "runs", "a", "default", {3, 3});
  add("urgent", "a", "default", {4, 4}, kHighPriority);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("urgent"), 4U);
  EXPECT_EQ(cluster_.live("hurt"), 2U);
}

/// What `gang` would pass of its quotas, and so whether `pair` is behind it, depends on what `small` has:
/// with two workers `pair` comes, shrinks it, and then would be behind. So `small` does not grow.
TEST_F(Rest, ComesWhereWhoGrowsSaysWhomAGangKeepsBack) {
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 2, lending_limit: 1}, b: {guaranteed: 5}}");
  for (const char* node : {"n1", "n2"}) cluster_.add_node(node, 4);
  for (const char* node : {"n3", "n4"}) cluster_.add_node(node, 2);
  add("small", "b", "default", {1, 2});
  Demand& wide = add("wide", "b", "default", {1, 2}, kCriticalPriority);
  wide.slots = 2;
  for (const char* node : {"n4", "n2"}) cluster_.start_worker("wide", node);
  add("four", "a", "default", {4, 4});
  add("gang", "a", "default", {3, 3});
  add("fixed", "b", "default", {1, 1});
  add("pair", "b", "default", {2, 2});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("small"), 1U);
  EXPECT_EQ(cluster_.live("gang"), 0U);
}

/// `small`, whose turn to grow comes first, took the room that `wide` is guaranteed by its tenant, `wide` a
/// worker of `small` for it; only `small`'s growth was forgotten then. So it lost its workers one by one,
/// even those of its minimum, and started again.
TEST_F(Rest, ComesWhereWhoGrowsIsTakenFromInTheSamePlanByWhoGrowsWithinItsGuarantee) {
  use("tenants: {a: {guaranteed: 5}, b: {guaranteed: 1}, "
      "c: {guaranteed: 1, borrowing_limit: 3, queues: {x: {guaranteed: 1}, y: {}}}}");
  cluster_.add_node("n0", 3);
  cluster_.add_node("n1", 4);
  const auto part = [](std::uint64_t thousandths) { return SlotCount::of_thousandths(thousandths); };
  add("of b", "b", "default", {3, 3}).slots = part(700);
  add("waits", "c", "x", {3, 3});
  add("small", "c", "x", {2, 6}, kLowPriority).slots = part(50);
  cluster_.start_worker("small", "n0");
  add("of y", "c", "y", {3, 3}).slots = part(500);
  for (int i = 0; i < 3; ++i) cluster_.start_worker("of y", "n0");
  add("one", "a", "default", {1, 1}).slots = part(1500);
  add("wide", "a", "default", {4, 6}).slots = part(250);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("wide"), 6U);
  EXPECT_GE(cluster_.live("small"), 2U);
}

/// It was the turn of y for the sake of `fixed`, which lacks a worker, and `batch`, the first of its line,
/// was started in it: so `xb` preempted `batch`, which came first again.
TEST_F(Rest, ComesWhereAGangThatLacksWorkersIsGuaranteedThemAndTheFirstOfItsQueueIsNot) {
  use("tenants: {x: {guaranteed: 3}, y: {guaranteed: 2}}");
  cluster_.add_node("n0", 4);
  add_on({"n0"}, "xa", "x", "default", {1, 1});
  add_on({"n0", "n0"}, "batch", "y", "default", {2, 2});
  add("fixed", "y", "default", {2, 2}).preemptible = false;
  cluster_.start_worker("fixed", "n0");
  add("xb", "x", "default", {2, 2});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("fixed"), 2U);
  EXPECT_EQ(cluster_.live("batch"), 0U)
      << "it was preempted for xb, for which there is no room all the same: "
         "more is guaranteed than there is";
}

/// Each plan placed a worker of `replaced` and released another of it, for `grows`, which is guaranteed it.
TEST_F(Rest, ComesWhereWhoGrowsIsTakenFromInTheSamePlanOnItsOwnNode) {
  use("tenants: {a: {guaranteed: 8}, b: {guaranteed: 2}, "
      "c: {weight: 2, queues: {x: {guaranteed: 5}, y: {guaranteed: 1}}}}");
  cluster_.add_node("n0", 5);
  cluster_.add_node("n1", 5);
  cluster_.add_node("n2", 4);
  add_on({"n1", "n1", "n1", "n1", "n2", "n0"}, "of a", "a", "default", {3, 7});
  add_on({"n0"}, "grows", "c", "x", {1, 3});
  Demand& spread = add("spread", "c", "y", {4, 4});
  spread.slots = SlotCount::of_thousandths(700);
  spread.placement = PlacementRule::spread;
  for (const char* node : {"n1", "n2", "n0", "n0"}) cluster_.start_worker("spread", node);
  add("replaced", "c", "x", {4, 6}).slots = SlotCount::of_thousandths(500);
  for (const char* node : {"n2", "n2", "n2", "n2", "n0"}) cluster_.start_worker("replaced", node);
  ASSERT_LT(cluster_.settle(20), 20);
}

/// `grows` got a worker of `gives` for the sake of shares, which the next plan let `gives` have back: growing
/// would have been in vain for `grows`.
TEST_F(Rest, ComesWhereWhatWasGivenForSharesWouldNotBeKept) {
  use("tenants: {a: {}, b: {guaranteed: 6}, c: {guaranteed: 1}}");
  cluster_.add_gpu_node("n2", 2, 4, "NVIDIA H200");
  cluster_.add_node("m1", 6);
  cluster_.add_node("m9", 1);
  add("grows", "a", "default", {3, 4}).slots = SlotCount::of_thousandths(700);
  for (const char* node : {"n2", "m1", "m1"}) cluster_.start_worker("grows", node);
  Demand& with_gpus = add("with gpus", "b", "default", {1, 3});
  with_gpus.slots = SlotCount::of_thousandths(500);
  with_gpus.gpus = 1;
  for (int i = 0; i < 2; ++i) cluster_.start_worker("with gpus", "n2");
  add_on({"m1", "m1", "m1", "m1"}, "gives", "c", "default", {4, 5});
  ASSERT_LT(cluster_.settle(20), 20);
}

/// While `gang` ran, `wide` was kept back by `lacking`, which waited then, and `narrow` passed it: within
/// what its queue is guaranteed it preempted `gang`. Without `gang` `wide` had its turn, and `narrow` waited
/// behind.
TEST_F(Rest, ComesWhereAReplicaIsBehindOneOfItsQueueThatIsBehindOthers) {
  use("tenants: {a: {guaranteed: 13}, b: {guaranteed: 2}}");
  cluster_.add_node("n0", 8);
  cluster_.add_node("away", 8);
  const auto add_replicas = [&](const char* job, const char* tenant, std::uint32_t wanted, SlotCount slots,
                                bool is_extra) {
    Demand& added = add(job, tenant, {wanted, wanted});
    added.works_with_fewer = true;
    added.preemptible = false;
    added.is_extra = is_extra;
    added.slots = slots;
    cluster_.start_worker(job, "n0");
  };
  add_replicas("lacking", "b", 2, 1, false);
  add_on({"away", "away", "away"}, "low", "a", "default", {3, 3}).priority = kLowPriority;
  add_on({"away", "away"}, "batch", "a", "default", {2, 2});
  add("gang", "b", {3, 3}, kHighPriority);
  add_replicas("wide", "a", 3, 3, true);
  cluster_.start_worker("wide", "away");
  add_replicas("narrow", "a", 2, 1, true);
  cluster_.node("away").available = false;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("gang"), 3U);
}

/// While `victim` ran it was the turn of `preempts`, of its queue; without it that of `claims`, which waits
/// for `keeps` and claimed what `preempts` needs beyond its queue's guarantee. So `victim` started again.
TEST_F(Rest, ComesWhereWhoWouldPreemptCouldNotStartForWhatAnotherClaimsThen) {
  use("tenants: {a: {guaranteed: 5, queues: {x: {guaranteed: 3}, y: {guaranteed: 1, weight: 2}}}, "
      "b: {guaranteed: 2}}");
  cluster_.add_node("n", 7);
  Demand& keeps = add_on({"n", "n"}, "keeps", "a", "x", {2, 2});
  keeps.preemptible = false;
  keeps.priority = kLowPriority;
  add_on({"n", "n"}, "others", "b", "default", {2, 2});
  add_on({"n", "n"}, "victim", "a", "y", {2, 2}).priority = kLowPriority;
  add("claims", "a", "x", {3, 3}, kHighPriority).preemptible = false;
  add("preempts", "a", "y", {2, 2}).preemptible = false;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("victim"), 2U);
  const Plan rest = cluster_.plan();
  const auto wait = std::ranges::find(rest.waits, "preempts", &Wait::job);
  ASSERT_NE(wait, rest.waits.end());
  const Reason& first = wait->reasons.front();
  EXPECT_EQ(first.code, "quota_tenant");
  EXPECT_NE(std::ranges::find(first.blocking, "claims"), first.blocking.end());
  EXPECT_NE(first.text.find("3 are kept for those that come first"), std::string::npos) << first.text;
  cluster_.end_job("claims");
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("preempts"), 2U);
  EXPECT_EQ(cluster_.live("victim"), 0U);
}

}  // namespace
}  // namespace ds::scheduler
