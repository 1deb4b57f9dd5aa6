#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;

using TenantPlan = testing::TenantCluster;

TEST_F(TenantPlan, LendsIdleSlotsUpToTheBorrowingLimit) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 2, borrowing_limit: 3}}");
  cluster_.add_node("n1", 8);
  add("elastic", "b", {1, 8});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("elastic"), 5U);
  add("more", "b", {1, 1});
  cluster_.demand("elastic").preemptible = false;
  const Plan plan = cluster_.plan();
  EXPECT_EQ(codes_of(plan, "more"), Codes{"quota_tenant"});
  EXPECT_EQ(text_of(plan, "more"), "needs 1 slot, and b may have 5 (2 guaranteed, 3 borrowed) and has 5");
}

TEST_F(TenantPlan, KeepsBackNobodyElseForATenantsQuota) {
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 0}, b: {}}");
  cluster_.add_node("n1", 8);
  add("running", "a", {2, 2});
  cluster_.settle();
  add("waits", "a", {1, 1});
  add("starts", "b", {1, 1});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"starts", "n1", 1}}));
  EXPECT_EQ(codes_of(plan, "waits"), Codes{"quota_tenant"});
}

TEST_F(TenantPlan, KeepsBackNobodyElseWhilePreemptedJobsLeaveForAQuota) {
  use("tenants: {a: {guaranteed: 3, borrowing_limit: 0}, b: {guaranteed: 3}}");
  cluster_.add_node("n1", 8);
  add("low", "a", {3, 3}, kLowPriority);
  cluster_.settle();
  add("high", "a", {1, 1}, kHighPriority);
  add("starts", "b", {3, 3});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.preemptions, (std::vector<Preemption>{{"low", "high"}}));
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"starts", "n1", 3}}));
}

TEST_F(TenantPlan, NamesThoseWhoHaveWhatAnyOfTheQuotasAllowsThatAJobWouldPass) {
  use("tenants: {b: {guaranteed: 8, lending_limit: 0}, "
      "c: {queues: {x: {guaranteed: 0}, y: {guaranteed: 0, borrowing_limit: 2}}}}");
  cluster_.add_node("n1", 6);
  cluster_.add_node("n2", 4);
  add("own", "c", {1, 1});
  add("sister", "c", {1, 1});
  for (Demand& demand : cluster_.demands) demand.queue = demand.job == "own" ? "y" : "x";
  cluster_.settle();
  add("waits", "c", {2, 2});
  cluster_.demands.back().queue = "y";
  const Plan plan = cluster_.plan();
  EXPECT_EQ(
      text_of(plan, "waits"),
      "needs 2 slots, and c/y may have 2 (0 guaranteed, 2 borrowed) and has 1; nor do others lend so many");
  ASSERT_EQ(plan.waits.size(), 1U);
  EXPECT_EQ(plan.waits[0].reasons[0].blocking, (std::vector<std::string>{"own", "sister"}));
  cluster_.end_job("own");
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "it alone was not in the way";
  cluster_.end_job("sister");
  EXPECT_EQ(cluster_.plan().placements.size(), 1U);
}

TEST_F(TenantPlan, NamesThoseWhoComeBeforeAJobInWhatItsTenantIsGuaranteed) {
  use("tenants: {a: {guaranteed: 1, lending_limit: 0}, b: {}, "
      "c: {guaranteed: 2, queues: {x: {guaranteed: 0}, y: {guaranteed: 0}}}}");
  for (const auto& [node, slots] : {std::pair("n0", 2U), std::pair("n1", 6U), std::pair("n2", 6U)})
    cluster_.add_node(node, slots);
  add("wide", "b", {4, 4});
  cluster_.demand("wide").slots = 3;
  add("waits", "c", {1, 1});
  add("runs", "c", {1, 2});
  add("urgent", "c", {2, 2}, kHighPriority);
  for (const char* job : {"waits", "runs", "urgent"}) cluster_.demand(job).queue = job[0] == 'w' ? "x" : "y";
  for (int i = 0; i < 2; ++i) cluster_.start_worker("runs", "n0");
  const Plan plan = cluster_.plan();
  EXPECT_FALSE(plan.waits.empty());
  for (const Wait& wait : plan.waits) {
    if (wait.job != "waits") continue;
    EXPECT_EQ(wait.reasons[0].code, "fair_share_turn");
    EXPECT_EQ(wait.reasons[0].blocking, (std::vector<std::string>{"wide", "urgent"}));
    EXPECT_NE(wait.reasons[0].text.find("for what c/x is guaranteed 1 job comes before it"),
              std::string::npos)
        << wait.reasons[0].text;
  }
  cluster_.end_job("urgent");
  EXPECT_EQ(cluster_.plan().placements.front().job, "waits");
}

TEST_F(TenantPlan, GivesNoJobThatCannotBeShrunkWhatAnotherWaitsFor) {
  cluster_.add_node("n1", 8);
  add("stays", "default", {1, 8}, kLowPriority);
  cluster_.demand("stays").preemptible = false;
  cluster_.demand("stays").workers.max = 4;
  add("first", "default", {2, 2});
  add("second", "default", {2, 2});
  cluster_.settle();
  cluster_.demand("stays").workers.max = 8;
  add("gang", "default", {4, 4});
  const auto end = [&](const std::string& job) {
    std::erase_if(cluster_.leases, [&](const Lease& lease) { return lease.job == job; });
    std::erase_if(cluster_.demands, [&](const Demand& demand) { return demand.job == job; });
    cluster_.settle();
  };
  end("first");
  EXPECT_EQ(cluster_.live("stays"), 4U);
  end("second");
  EXPECT_EQ(cluster_.live("gang"), 4U);
}

TEST_F(TenantPlan, SaysThatAJobCanNeverBeAllowed) {
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 0}}");
  cluster_.add_node("n1", 8);
  add("large", "a", {3, 3});
  add("small", "a", {1, 1});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"small", "n1", 1}}));
  EXPECT_EQ(text_of(plan, "large"),
            "needs 3 slots, and a may have 2 (2 guaranteed, 0 borrowed) and can never have more");
}

TEST_F(TenantPlan, CountsWorkersThatAreStopping) {
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 0}}");
  cluster_.add_node("n1", 8);
  add("ends", "a", {2, 2});
  cluster_.settle();
  for (Lease& lease : cluster_.leases) lease.releasing = true;
  std::erase_if(cluster_.demands, [](const Demand& demand) { return demand.job == "ends"; });
  add("next", "a", {2, 2});
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.placements.empty()) << "a would have four slots for a moment";
  EXPECT_EQ(codes_of(plan, "next"), Codes{"quota_tenant"});
  cluster_.finish_releases();
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"next", "n1", 2}}));
}

TEST_F(TenantPlan, DoesNotSayThatItIsForEverWhenMoreIsLentOnceNodesAreBack) {
  use("tenants: {a: {guaranteed: 4, lending_limit: 1}, b: {}}");
  cluster_.add_node("n1", 8);
  add("large", "b", {6, 6});
  const std::string kept =
      "needs 6 slots, and of 8 slots so many are kept for tenants that do not lend them that it can ";
  const auto could_ever_start = [&] {
    Planner planner(cluster_.tenants);
    planner.set_nodes(cluster_.nodes);
    planner.set_job("large", cluster_.demand("large"), {});
    return planner.could_ever_start("large");
  };
  EXPECT_EQ(text_of(cluster_.plan(), "large"), kept + "never have these");
  EXPECT_FALSE(could_ever_start());
  cluster_.add_node("n2", 8);
  cluster_.nodes.back().available = false;
  EXPECT_EQ(text_of(cluster_.plan(), "large"), kept + "not have these while 1 node is down or draining");
  EXPECT_TRUE(could_ever_start());
}

TEST_F(TenantPlan, KeepsWhatIsNotLent) {
  use("tenants: {a: {guaranteed: 4, lending_limit: 1}, b: {}}");
  cluster_.add_node("n1", 8);
  add("elastic", "b", {1, 8});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("elastic"), 5U);
  add("owner", "a", {3, 3});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"owner", "n1", 3}}));
  EXPECT_TRUE(plan.releases.empty());
}

TEST_F(TenantPlan, ReclaimsByShrinkingBorrowersFirst) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}");
  cluster_.add_node("n1", 8);
  add("fixed", "b", {3, 3}, kCriticalPriority);
  add("elastic", "b", {1, 8}, kCriticalPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("elastic"), 5U);
  add("owner", "a", {4, 4}, kLowPriority);
  EXPECT_TRUE(cluster_.plan().preemptions.empty());
  cluster_.settle();
  EXPECT_EQ(cluster_.live("owner"), 4U);
  EXPECT_EQ(cluster_.live("elastic"), 1U);
  EXPECT_EQ(cluster_.live("fixed"), 3U);
}

TEST_F(TenantPlan, ReclaimsByPreemptingBorrowersLastWhateverTheirPriority) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}");
  cluster_.add_node("n1", 8);
  add("within", "b", {4, 4}, kCriticalPriority);
  add("borrows", "b", {4, 4}, kCriticalPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("borrows"), 4U);
  add("owner", "a", {2, 2}, kLowPriority);
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"borrows", "owner"}}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("owner"), 2U);
  EXPECT_EQ(cluster_.live("within"), 4U);
  EXPECT_EQ(cluster_.live("borrows"), 0U);
}

TEST_F(TenantPlan, TakesNothingThatIsGuaranteedToAnother) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}");
  cluster_.add_node("n1", 8);
  add("first", "a", {4, 4}, kLowPriority);
  add("second", "b", {2, 4}, kLowPriority);
  cluster_.settle();
  add("urgent", "a", {2, 2}, kCriticalPriority);
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"first", "urgent"}})) << "its own queue's";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("second"), 4U);
}

TEST_F(TenantPlan, GrowsIntoItsGuaranteeByShrinkingBorrowers) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 4}}");
  cluster_.add_node("n1", 8);
  add("borrower", "b", {1, 8});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("borrower"), 8U);
  add("owner", "a", {1, 8});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("owner"), 4U);
  EXPECT_EQ(cluster_.live("borrower"), 4U);
}

TEST_F(TenantPlan, SharesWhatIsLeftByWeight) {
  use("tenants: {a: {weight: 2}, b: {weight: 1}}");
  cluster_.add_node("n1", 9);
  add("of a", "a", {1, 9});
  add("of b", "b", {1, 9});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("of a"), 6U);
  EXPECT_EQ(cluster_.live("of b"), 3U);
}

TEST_F(TenantPlan, GivesTheTurnToWhoHasTheSmallerShareOverItsWeight) {
  use("tenants: {a: {weight: 1}, b: {weight: 4}}");
  cluster_.add_node("n1", 8);
  add("a0", "a", {2, 2});
  add("b0", "b", {4, 4});
  cluster_.settle();
  add("a1", "a", {2, 2});
  add("b1", "b", {2, 2});
  add("b2", "b", {2, 2});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"b1", "n1", 2}}));
  EXPECT_EQ(codes_of(plan, "a1"), (Codes{"fair_share_turn", "no_capacity_now"}));
  EXPECT_EQ(text_of(plan, "a1"),
            "needs 2 workers of 1 slot each, and it is the turn of 1 job of other queues: b has 0.19 of "
            "the cluster for its weight, a 0.25");
}

TEST_F(TenantPlan, CountsWhatWasUsedLately) {
  use("tenants: {a: {}, b: {}}");
  cluster_.add_node("n1", 2);
  add("a1", "a", {2, 2});
  add("b1", "b", {2, 2});
  cluster_.past = {{"a", "default", 1.5, 0}};
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"b1", "n1", 2}}));
}

TEST_F(TenantPlan, SharesTheDominantResource) {
  use("tenants: {a: {}, b: {}}");
  cluster_.add_node("n1", 10, 10ULL << 30);
  cluster_.add_job("hungry", {1, 1}, 1, 5ULL << 30);
  cluster_.demands.back().tenant = "a";
  add("wide", "b", {3, 3});
  cluster_.settle();
  add("a1", "a", {6, 6});
  add("b1", "b", {6, 6});
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"b1", "n1", 6}}))
      << "half the memory is more";
}

TEST_F(TenantPlan, CountsNoResourceThatTheClusterHasNotAnyMore) {
  use("tenants: {a: {}, b: {}}");
  cluster_.add_node("n1", 2);
  add("a1", "a", {2, 2});
  add("b1", "b", {2, 2});
  cluster_.past = {{.tenant = "a", .queue = "default", .gpus = 0.25},
                   {.tenant = "b", .queue = "default", .slots = 0.1}};
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"a1", "n1", 2}}))
      << "the nodes with GPUs are gone";
  cluster_.add_gpu_node("g1", 1, 1, "A100");
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"b1", "n1", 2}})) << "they are back";
}

TEST_F(TenantPlan, StartsNothingOfATenantThatIsGone) {
  use("tenants: {a: {}}");
  cluster_.add_node("n1", 4);
  add("stays", "b", {1, 1});
  cluster_.start_worker("stays", "n1");
  add("waits", "b", {1, 1});
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_TRUE(plan.releases.empty());
  EXPECT_EQ(codes_of(plan, "waits"), (Codes{"quota_tenant", "never_fits"}));
}

TEST_F(TenantPlan, ReclaimsWithinATenantsQueues) {
  use("tenants: {t: {guaranteed: 4, borrowing_limit: 0, queues: {x: {guaranteed: 2}, y: {guaranteed: 2}}}, "
      "u: {}}");
  cluster_.add_node("n1", 8);
  add("of x", "t", {2, 2});
  add("more of x", "t", {2, 2});
  for (Demand& demand : cluster_.demands) demand.queue = "x";
  cluster_.settle();
  ASSERT_EQ(cluster_.live("more of x"), 2U);
  add("of y", "t", {2, 2});
  cluster_.demands.back().queue = "y";
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"more of x", "of y"}}))
      << "there are idle slots, but the tenant has its four";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("of y"), 2U);
}

/// Else the other grows into what is idle, has it taken back, and grows again, for ever.
TEST_F(TenantPlan, GrowsIntoAGuaranteeBeforeOthersBorrowThoughALargerJobOfTheQueueGainsMore) {
  use("tenants: {a: {}, b: {guaranteed: 8}}");
  cluster_.add_node("n", 9);
  add("a", "a", {1, 9});
  cluster_.start_worker("a", "n");
  add("large", "b", {1, 2});
  cluster_.demand("large").slots = 3;
  cluster_.start_worker("large", "n");
  add("small", "b", {1, 5});
  for (int i = 0; i < 4; ++i) cluster_.start_worker("small", "n");
  ASSERT_LT(cluster_.settle(), 5);
  EXPECT_EQ(cluster_.live("small"), 5U);
  EXPECT_EQ(cluster_.live("a"), 1U);
}

/// `gang` waits for `fixed` within its queue's guarantee. With `short` beside it, which would have ended in
/// time, it would borrow; so it would be the turn of `long`, which has no limit and can't be had back.
TEST_F(TenantPlan, StartsNobodyBehindAJobWhoseGuaranteeThatWouldUse) {
  use("tenants: {a: {guaranteed: 4}, b: {weight: 3}, c: {}}");
  cluster_.add_node("n", 4);
  Demand& fixed = add("fixed", "c", {2, 2});
  fixed.preemptible = false;
  fixed.lasts_ms = 100'000;
  cluster_.settle();
  add("gang", "a", {4, 4});
  add("short", "a", {1, 1}).lasts_ms = 50'000;
  add("long", "b", {1, 1}).preemptible = false;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("short") + cluster_.live("long"), 0U);
  cluster_.go_on_until(50'000);
  cluster_.settle();
  cluster_.go_on_until(100'000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 4U);
}

/// The same where the guarantee is enough for both.
TEST_F(TenantPlan, StartsAJobBehindAnotherWhereBothAreWithinTheirGuarantee) {
  use("tenants: {a: {guaranteed: 4}, c: {}}");
  cluster_.add_node("n", 4);
  Demand& fixed = add("fixed", "c", {2, 2});
  fixed.preemptible = false;
  fixed.lasts_ms = 100'000;
  cluster_.settle();
  add("gang", "a", {3, 3});
  add("short", "a", {1, 1}).lasts_ms = 50'000;
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("short"), 1U);
}

TEST_F(TenantPlan, LeavesJobsOfATenantThatIsGoneWhatTheyHave) {
  use("tenants: {x: {guaranteed: 4}, y: {guaranteed: 4}}");
  cluster_.add_node("n", 8);
  add("of_y", "y", {2, 4});
  cluster_.settle();
  add("of_x", "x", {4, 4});
  cluster_.settle();
  use("tenants: {x: {guaranteed: 8}}");
  add("more", "x", {1, 1});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("of_y"), 4U);
  EXPECT_EQ(cluster_.live("more"), 0U);
}

}  // namespace
}  // namespace ds::scheduler
