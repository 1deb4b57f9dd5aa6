// Jobs that are not preemptible among tenants: what they are lent, and who waits for it.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;
using FixedJobs = testing::TenantCluster;

TEST_F(FixedJobs, LendsNothingThatIsGuaranteedToAJobThatIsNotPreemptible) {
  use("tenants: {nlp: {guaranteed: 4}, vision: {guaranteed: 4}}");
  cluster_.add_node("n1", 12);
  add("fixed", "nlp", {9, 9}).preemptible = false;
  EXPECT_TRUE(cluster_.plan().placements.empty());
  EXPECT_EQ(codes_of(cluster_.plan(), "fixed"), (Codes{"quota_tenant", "never_fits"}));
  EXPECT_EQ(text_of(cluster_.plan(), "fixed"),
            "needs 9 slots, and is not preemptible: of 12 slots 8 are guaranteed to tenants, who could not "
            "have theirs back");
  cluster_.demand("fixed").workers = {8, 8};
  cluster_.settle();
  EXPECT_EQ(cluster_.live("fixed"), 8U) << "four of its own, and four that are nobody's";
  add("more", "nlp", {1, 1}).preemptible = false;
  ASSERT_EQ(codes_of(cluster_.plan(), "more"), (Codes{"quota_tenant"}));
  EXPECT_EQ(cluster_.plan().waits[0].reasons[0].blocking, (std::vector<std::string>{"fixed"}));
  EXPECT_EQ(text_of(cluster_.plan(), "more"),
            "needs 1 slot, and is not preemptible: of 12 slots 8 are guaranteed to tenants, who could not "
            "have theirs back; such jobs have 8");
  add("borrows", "nlp", {4, 4});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("borrows"), 4U) << "nobody waits behind it who can be preempted";
  add("critical", "vision", {2, 2}, kCriticalPriority);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("critical"), 2U);
}

TEST_F(FixedJobs, GrowsNoJobThatIsNotPreemptibleIntoAGuarantee) {
  use("tenants: {nlp: {guaranteed: 4}, vision: {guaranteed: 4}}");
  cluster_.add_node("n1", 12);
  add("fixed", "nlp", {1, 12}).preemptible = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("fixed"), 8U);
  add("other", "nlp", {1, 12});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("other"), 4U) << "that may be taken back";
}

TEST_F(FixedJobs, AddsNoReplicaBeyondWhatCanBeHadBack) {
  use("tenants: {nlp: {guaranteed: 2}, vision: {guaranteed: 3}}");
  cluster_.add_node("n1", 6);
  Demand& replicas = add("replicas", "nlp", {1, 5});
  replicas.preemptible = false;
  replicas.works_with_fewer = true;
  const auto scale = [&] {  // as the ledger asks for replicas: one more, then the next
    for (int round = 0; round < 6; ++round) {
      Demand& one = cluster_.demand("replicas");
      const std::uint32_t has = cluster_.live("replicas");
      one.workers.min = has < one.workers.max ? has + 1 : 1;
      cluster_.settle();
    }
  };
  scale();
  EXPECT_EQ(cluster_.live("replicas"), 3U);
  EXPECT_EQ(codes_of(cluster_.plan(), "replicas"), (Codes{"gang_partial", "quota_tenant", "never_fits"}));
  EXPECT_NE(cluster_.plan().waits[0].reasons[1].text.find(
                "needs 4 slots, and is not preemptible: of 6 slots 5 are guaranteed to tenants"),
            std::string::npos)
      << cluster_.plan().waits[0].reasons[1].text;
  add("borrows", "nlp", {3, 3});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("borrows"), 3U);
  add("of vision", "vision", {3, 3});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("of vision"), 3U);
}

TEST_F(FixedJobs, KeepsWhatAJobThatIsNotPreemptibleHadBeforeOthersWereGuaranteedIt) {
  cluster_.add_node("n1", 8);
  use("tenants: {nlp: {guaranteed: 2}, vision: {}}");
  add("fixed", "nlp", {6, 6}).preemptible = false;
  cluster_.settle();
  use("tenants: {nlp: {guaranteed: 2}, vision: {guaranteed: 6}}");
  EXPECT_EQ(cluster_.settle(), 0);
  cluster_.lose_worker(cluster_.leases.back().worker);
  EXPECT_EQ(cluster_.settle(), 1);
  EXPECT_EQ(cluster_.live("fixed"), 6U) << "a gang keeps its minimum";
  add("later", "vision", {2, 2}).preemptible = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("later"), 2U) << "its own";
  cluster_.end_job("fixed");
  add("again", "nlp", {3, 3}).preemptible = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("again"), 0U);
}

/// Behind what a large one waits for, since nobody could have it back, small ones of all queues wait, too.
TEST_F(FixedJobs, StartsALargeJobThatIsNotPreemptibleInAStreamOfSmallOnes) {
  use("tenants: {nlp: {guaranteed: 4}, vision: {guaranteed: 4}, others: {}}");
  cluster_.add_node("n1", 12);
  int small = 0;
  const auto add_small = [&](const char* tenant) {
    Demand& demand = add("small" + std::to_string(small), tenant, {1, 1});
    demand.preemptible = false;
    demand.lasts_ms = 10'000 + 1'000 * (small++ % 4);
  };
  for (int i = 0; i < 4; ++i) {
    add_small("others");
    add_small("nlp");
    cluster_.settle();
  }
  Demand& large = add("large", "nlp", {7, 7});
  large.preemptible = false;
  std::int64_t waited_ms = 0, own_small = 0;
  for (; cluster_.live("large") == 0 && waited_ms < 100'000; waited_ms += 1'000) {
    add_small("others");
    add_small("nlp");
    add_small("vision");
    cluster_.go_on_until(cluster_.now_ms + 1'000);
    cluster_.settle();
    own_small += cluster_.live("small" + std::to_string(small - 1));
  }
  EXPECT_LE(waited_ms, 26'000) << "others' turn comes once before";
  EXPECT_GT(own_small, 0) << "within their own guarantee others start all the while";
}

TEST_F(FixedJobs, NamesThoseWhoComeFirstForWhatNobodyCouldHaveBack) {
  use("tenants: {nlp: {guaranteed: 2}, vision: {guaranteed: 4}, others: {}}");
  cluster_.add_node("n1", 12);
  add("runs", "others", {3, 3}).preemptible = false;
  cluster_.settle();
  add("large", "nlp", {8, 8}).preemptible = false;
  add("small", "others", {2, 2}).preemptible = false;
  const Plan plan = cluster_.plan();
  EXPECT_EQ(text_of(plan, "large"),
            "needs 8 slots, and is not preemptible: of 12 slots 6 are guaranteed to tenants, who could not "
            "have theirs back; such jobs have 3");
  EXPECT_EQ(text_of(plan, "small"),
            "needs 2 slots, and is not preemptible: of 12 slots 6 are guaranteed to tenants, who could not "
            "have theirs back; such jobs have 3, and 8 are kept for those that come first");
  const auto wait = std::ranges::find(plan.waits, "small", &Wait::job);
  EXPECT_EQ(wait->reasons.front().blocking, (std::vector<std::string>{"runs", "large"}));
}

TEST_F(FixedJobs, NamesThoseOfTheQueueThatMayHaveWhatAJobWaitsForOnceTheyCanGiveItBack) {
  use("tenants: {nlp: {guaranteed: 2, borrowing_limit: 2}, vision: {guaranteed: 3}}");
  cluster_.add_node("n1", 6);
  add("runs", "nlp", {1, 1}).preemptible = false;
  cluster_.settle();
  add("large", "nlp", {3, 3}).preemptible = false;
  add("later", "nlp", {4, 4});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(codes_of(plan, "large"), (Codes{"quota_tenant"}));
  ASSERT_EQ(codes_of(plan, "later"), (Codes{"quota_tenant", "priority_behind"}));
  const auto wait = std::ranges::find(plan.waits, "later", &Wait::job);
  EXPECT_EQ(wait->reasons[1].text,
            "needs 4 workers of 1 slot each, and 1 job before it that is not preemptible may start first, as "
            "soon as what others are guaranteed is left to them");
  EXPECT_EQ(wait->reasons[1].blocking, (std::vector<std::string>{"large"}));
}

/// Where it lacks that in its own tenant and in the cluster as well, whoever has either.
TEST_F(FixedJobs, NamesWhoHasWhatCannotBeHadBackAtEachLevelOfTheTree) {
  use("tenants: {a: {guaranteed: 2}, b: {}, c: {borrowing_limit: 2, queues: {x: {}, y: {}}}}");
  cluster_.add_node("n", 5);
  add("of b", "b", {2, 2}).preemptible = false;
  add("of y", "c", "y", {1, 1}).preemptible = false;
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 3U);
  add("waits", "c", "x", {2, 2}).preemptible = false;
  const Plan plan = cluster_.plan();
  ASSERT_EQ(codes_of(plan, "waits"), (Codes{"quota_tenant"}));
  EXPECT_EQ(text_of(plan, "waits"),
            "needs 2 slots, and is not preemptible: of the 2 slots that c may have 0 are guaranteed to its "
            "queues, which could not have theirs back; such jobs have 1; nor may c have so many; nor do "
            "others lend so many");
  EXPECT_EQ(plan.waits[0].reasons[0].blocking, (Codes{"of y", "of b"}));
  const auto starts_without = [&](const Codes& gone) {
    testing::ClusterModel without = cluster_;
    for (const std::string& job : gone) without.end_job(job);
    without.settle();
    return without.live("waits") == 2;
  };
  EXPECT_FALSE(starts_without({"of b"}));
  EXPECT_FALSE(starts_without({"of y"}));
  EXPECT_TRUE(starts_without({"of b", "of y"}));
}

/// DS_SEED=21038364 of `WhyOracle`.
TEST_F(FixedJobs, WaitsForWhatTheOneBeforeItWaitsFor) {
  use("tenants: {a: {guaranteed: 1, guaranteed_gpus: 1}, b: {}, c: {guaranteed: 4}}");
  cluster_.add_gpu_node("n", 8, 2, "NVIDIA H200");
  Demand& uses = add("uses", "b", {1, 1});
  uses.preemptible = false;
  uses.gpus = 1;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("uses"), 1U);
  Demand& first = add("first", "c", {1, 1});
  first.preemptible = false;
  first.gpus = 1;
  add("behind", "c", {1, 1}).preemptible = false;
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(codes_of(plan, "first"), Codes{"quota_tenant"});
  const auto wait = std::ranges::find(plan.waits, "behind", &Wait::job);
  ASSERT_EQ(codes_of(plan, "behind"), (Codes{"priority_behind", "quota_tenant"}));
  EXPECT_EQ(wait->reasons[0].blocking, Codes{"first"});
  EXPECT_EQ(wait->reasons[1].text,
            "first, which comes first, needs 1 GPU, and is not preemptible: of 2 GPUs 1 are guaranteed to "
            "tenants, who could not have theirs back; such jobs have 1");
  EXPECT_EQ(wait->reasons[1].blocking, Codes{"uses"});
  cluster_.end_job("uses");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("behind"), 1U);
}

}  // namespace
}  // namespace ds::scheduler
