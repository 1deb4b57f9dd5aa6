// What a queue below a tenant is guaranteed: it has it back from its sister whatever others wait for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::below;
using testing::Random;
using testing::text_of;

class NestedQueues : public testing::TenantCluster {
 protected:
  void add_nodes(int count, std::uint32_t slots) {
    for (int i = 0; i < count; ++i) cluster_.add_node("n" + std::to_string(i), slots);
  }
  void add_singles(int count, const std::string& name, const std::string& tenant, const std::string& queue) {
    for (int i = 0; i < count; ++i) add(name + std::to_string(i), tenant, queue, {1, 1});
  }
  SlotCount slots_of(std::string_view tenant, std::string_view queue) const {
    SlotCount slots;
    for (const Lease& lease : cluster_.leases)
      slots += lease.tenant == tenant && lease.queue == queue ? lease.slots : 0;
    return slots;
  }
};

TEST_F(NestedQueues, HaveWhatTheyAreGuaranteedBackFromASisterThoughAnotherTenantsJobWaits) {
  use("tenants: {a: {queues: {x: {guaranteed: 4}, y: {guaranteed: 4}}}, b: {guaranteed: 4}}");
  add_nodes(4, 4);
  add_singles(8, "x", "a", "x");
  add_singles(8, "b", "b", "default");
  cluster_.settle();
  add("b waits", "b", "default", {1, 1});
  ASSERT_TRUE(cluster_.plan().preemptions.empty());
  for (const std::string job : {"y0", "y1"}) {
    add(job, "a", "y", {2, 2});
    const Plan plan = cluster_.plan();
    EXPECT_EQ(plan.preemptions.size(), 2U) << job;
    for (const Preemption& one : plan.preemptions)
      EXPECT_EQ(std::pair(one.job[0], one.by), std::pair('x', job));
    EXPECT_LT(cluster_.settle(), 5);
    EXPECT_EQ(cluster_.live(job), 2U);
  }
  EXPECT_EQ(slots_of("a", "x"), 4);
  EXPECT_EQ(slots_of("b", "default"), 8) << "what it has borrowed is in nobody's way";
  add("y more", "a", "y", {1, 1});
  EXPECT_TRUE(cluster_.plan().preemptions.empty()) << "it would borrow";
}

TEST_F(NestedQueues, TheSameAtTheThirdLevelBelowATenantThatMayBorrowNothing) {
  use("tenants: {a: {guaranteed: 8, borrowing_limit: 0, queues: {x: {guaranteed: 4, queues: {p: {guaranteed: "
      "2}, "
      "q: {guaranteed: 2}}}, y: {guaranteed: 4}}}, b: {}}");
  add_nodes(3, 4);
  add_singles(8, "p", "a", "p");
  add_singles(4, "b", "b", "default");
  cluster_.settle();
  ASSERT_EQ(slots_of("a", "p"), 8);
  add("b waits", "b", "default", {2, 2});
  add("y waits", "a", "y", {8, 8}, kCriticalPriority);
  add("q", "a", "q", {2, 2}, kLowPriority);
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.preemptions.size(), 2U);
  for (const Preemption& one : plan.preemptions)
    EXPECT_EQ(std::pair(one.job[0], one.by), std::pair('p', std::string("q")));
  EXPECT_LT(cluster_.settle(), 5);
  EXPECT_EQ(cluster_.live("q"), 2U);
  EXPECT_EQ(slots_of("a", "p"), 6);
  EXPECT_EQ(slots_of("b", "default"), 4);
}

/// Who is within what another tenant is guaranteed has its turn too: each has it back from who has borrowed.
TEST_F(NestedQueues, AreNotBeforeAnotherTenantThatIsWithinItsOwnGuarantee) {
  use("tenants: {a: {queues: {x: {guaranteed: 4}, y: {guaranteed: 4}}}, b: {guaranteed: 4}}");
  add_nodes(3, 4);
  add_singles(12, "x", "a", "x");
  cluster_.settle();
  ASSERT_EQ(slots_of("a", "x"), 12);
  add("of y", "a", "y", {4, 4});
  add("of b", "b", "default", {4, 4});
  EXPECT_LT(cluster_.settle(), 6);
  EXPECT_EQ(cluster_.live("of y"), 4U);
  EXPECT_EQ(cluster_.live("of b"), 4U);
  EXPECT_EQ(slots_of("a", "x"), 4);
}

TEST_F(NestedQueues, StartBehindAnotherBeforeThoseWhoBorrow) {
  use("tenants: {a: {queues: {x: {guaranteed: 3}, y: {guaranteed: 4}}}, b: {guaranteed: 5}, c: {}}");
  add_nodes(1, 12);
  add("x", "a", "x", {8, 8});
  cluster_.demand("x").lasts_ms = 100'000;
  cluster_.settle();
  cluster_.demand("x").preemptible = false;  // it started when others were guaranteed less
  add("of b", "b", "default", {5, 5});
  add("of c", "c", "default", {4, 4});
  add("of y", "a", "y", {4, 4});
  for (const char* job : {"of c", "of y"}) cluster_.demand(job).lasts_ms = 10'000;
  const Plan plan = cluster_.plan();
  EXPECT_EQ(text_of(plan, "of b").substr(0, 20), "needs 5 workers of 1");
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"of y", "n0", 4}}));
}

TEST_F(NestedQueues, AreToldTheSharesOfTheQueuesBetweenWhichItIsDecided) {
  use("tenants: {a: {queues: {x: {}, y: {}}}, b: {queues: {u: {}, v: {}}}}");
  add_nodes(1, 8);
  add("x", "a", "x", {6, 6});
  add("u", "b", "u", {1, 1});
  cluster_.settle();
  add("v", "b", "v", {2, 2});
  add("y", "a", "y", {2, 2});
  EXPECT_EQ(text_of(cluster_.plan(), "y"),
            "needs 2 workers of 1 slot each, and it is the turn of 1 job of other queues: b/v, and b has "
            "0.12 of the cluster for its weight, a 0.75");
}

/// `gang` waits for its queue's quota. While `b` does not lend all that it is guaranteed, a full cluster is a
/// limit as well, of everybody's: that is no reason to keep `b` from its own, of which `gang` has nothing.
TEST_F(NestedQueues, ArePassedWhileTheyWaitForTheirOwnQuotaByWhoIsWithinItsGuarantee) {
  use("tenants: {a: {guaranteed: 4, weight: 3, queues: {x: {}, y: {guaranteed: 2, borrowing_limit: 0}}}, "
      "b: {guaranteed: 2, lending_limit: 1}, c: {}}");
  add_nodes(1, 7);
  add("of y", "a", "y", {2, 2});
  add("runs", "b", "default", {1, 1});
  add_singles(4, "c", "c", "default");
  cluster_.settle();
  add("gang", "a", "y", {2, 2});
  add("of b", "b", "default", {1, 1});
  add("c waits", "c", "default", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of b"), 1U);
  EXPECT_EQ(cluster_.live("gang"), 0U);
  EXPECT_EQ(slots_of("c", "default"), 3);
  cluster_.end_job("of y");
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("gang"), 2U);
}

/// The same within a tenant: `gang` would pass `p`'s quota and its tenant's, which `z` fills by borrowing.
TEST_F(NestedQueues, ArePassedByASisterThoughTheyWaitForTheirTenantsQuotaToo) {
  use("tenants: {a: {guaranteed: 4, borrowing_limit: 0, queues: {x: {guaranteed: 2, weight: 2, queues: {p: "
      "{guaranteed: 1, borrowing_limit: 0}, q: {}}}, y: {guaranteed: 2}, z: {}}}, b: {}}");
  add_nodes(1, 6);
  add("of p", "a", "p", {1, 1});
  add("runs", "a", "y", {1, 1});
  add_singles(2, "z", "a", "z");
  cluster_.settle();
  add("gang", "a", "p", {1, 1});
  add("of y", "a", "y", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of y"), 1U);
  EXPECT_EQ(cluster_.live("gang"), 0U);
  EXPECT_EQ(slots_of("a", "z"), 1);
}

/// `gang` is within what `x` is guaranteed by the minimums there, but `grown` has of it what `q` is
/// guaranteed itself. So `gang` would borrow, and `of b` does not wait for that.
TEST_F(NestedQueues, ArePassedByWhoIsWithinItsGuaranteeWhereASisterHasGrownIntoTheirs) {
  use("tenants: {a: {guaranteed: 4, weight: 3, queues: {x: {guaranteed: 4, queues: {p: {}, q: {guaranteed: "
      "3}}}, y: {}}}, b: {guaranteed: 2}, c: {}}");
  add_nodes(1, 6);
  add("of y", "a", "y", {2, 2});
  add("grown", "a", "q", {1, 2});
  add("runs", "b", "default", {1, 1});
  cluster_.settle();
  add("borrowed", "c", "default", {1, 1});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("grown"), 2U);
  ASSERT_EQ(cluster_.live("borrowed"), 1U);
  add("gang", "a", "p", {3, 3});
  add("of b", "b", "default", {1, 1});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of b"), 1U);
  EXPECT_EQ(cluster_.live("borrowed"), 0U);
  EXPECT_EQ(cluster_.live("grown"), 2U);
}

/// `of p` passes `x`'s quota because of `of q`, and `a`'s because of `of y` too, who is less urgent and so is
/// looked at first.
TEST_F(NestedQueues, HaveBackWhatTwoQuotasKeepFromThemWhoeverIsLookedAtFirst) {
  use("tenants: {a: {guaranteed: 4, borrowing_limit: 0, queues: {x: {guaranteed: 3, borrowing_limit: 0, "
      "queues: {p: {guaranteed: 3}, q: {}}}, y: {guaranteed: 1}}}, b: {}}");
  add_nodes(1, 7);
  add("of q", "a", "q", {1, 1});
  add("of y", "a", "y", {2, 3}, kLowPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("of y"), 3U);
  add("of p", "a", "p", {3, 3}, kHighPriority);
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"of y", "of p"}, {"of q", "of p"}}));
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of p"), 3U);
}

/// `of c` is looked at first, and with it gone there would be room: but that `of p` may take only what its
/// tenant's queues have borrowed, for its tenant has all that it is guaranteed.
TEST_F(NestedQueues, HaveBackWhatSistersHaveBorrowedThoughOthersAreLookedAtFirst) {
  use("tenants: {a: {guaranteed: 4, queues: {x: {guaranteed: 3, borrowing_limit: 0, queues: {p: "
      "{guaranteed: 3}, q: {}}}, y: {guaranteed: 1}}}, c: {}}");
  add_nodes(1, 7);
  add("of q", "a", "q", {1, 1}, kHighPriority);
  add("of y", "a", "y", {3, 3}, kHighPriority);
  add("of c", "c", "default", {3, 3}, kLowPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("of c"), 3U);
  add("of p", "a", "p", {3, 3});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of p"), 3U);
  EXPECT_EQ(cluster_.live("of c"), 3U);
}

/// There are too many to try all sets of them. `b`'s are looked at first, and are fair to take
/// once `q`'s are gone; then there would be room without the latter, but nobody is to borrow by preempting.
TEST_F(NestedQueues, HaveBackWhatASisterHasBorrowedBeforeTheyTakeFromOtherTenants) {
  use("tenants: {a: {guaranteed: 4, queues: {p: {guaranteed: 4}, q: {}}}, b: {}}");
  add_nodes(1, 16);
  add_singles(2, "q", "a", "q");
  for (int i = 0; i < 14; ++i) add("b" + std::to_string(i), "b", "default", {1, 1}, kLowPriority);
  cluster_.settle();
  ASSERT_EQ(slots_of("b", "default"), 14);
  add("of p", "a", "p", {4, 4});
  ASSERT_EQ(cluster_.plan().preemptions.size(), 4U);
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("of p"), 4U);
  EXPECT_EQ(slots_of("a", "q"), 0);
  EXPECT_EQ(slots_of("b", "default"), 12);
}

}  // namespace
}  // namespace ds::scheduler
