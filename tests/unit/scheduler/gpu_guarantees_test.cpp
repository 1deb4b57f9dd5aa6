// GPUs that tenants are guaranteed: who has them back from whom, and what that is to jobs without GPUs.
#include <string>
#include <vector>

#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;

class GpuGuarantees : public testing::TenantCluster {
 protected:
  void add_nodes(int count, std::uint32_t slots, std::uint32_t gpus) {
    for (int i = 0; i < count; ++i)
      cluster_.add_gpu_node("n" + std::to_string(i), slots, gpus, "NVIDIA H200");
  }
  Demand& add_with_gpus(const std::string& job, const std::string& tenant, WorkerCount workers,
                        std::uint32_t gpus = 1) {
    Demand& added = add(job, tenant, workers);
    added.gpus = gpus;
    return added;
  }
  void add_singles(int count, const std::string& name, const std::string& tenant) {
    for (int i = 0; i < count; ++i) add_with_gpus(name + std::to_string(i), tenant, {1, 1});
  }
  std::size_t gpus_of(const std::string& tenant) const {
    std::size_t gpus = 0;
    for (const Lease& lease : cluster_.leases) gpus += lease.tenant == tenant ? lease.devices.size() : 0;
    return gpus;
  }
};

TEST_F(GpuGuarantees, AreHadBackByShrinkingThoseWhoHaveBorrowedThoughTheyAreWithinTheirSlots) {
  use("tenants: {a: {guaranteed: 16, guaranteed_gpus: 4}, b: {guaranteed: 16, guaranteed_gpus: 4}}");
  add_nodes(2, 16, 4);
  add_with_gpus("grown", "a", {1, 8});
  cluster_.settle();
  ASSERT_EQ(gpus_of("a"), 8U) << "idle ones are lent";
  add_with_gpus("own", "b", {4, 4});
  EXPECT_TRUE(cluster_.plan().preemptions.empty());
  cluster_.settle();
  EXPECT_EQ(cluster_.live("own"), 4U);
  EXPECT_EQ(cluster_.live("grown"), 4U);
  add_with_gpus("more", "b", {1, 1});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("more"), 0U) << "it would borrow, and nobody has borrowed";
}

TEST_F(GpuGuarantees, AreHadBackByPreemptingNoMoreThanWasBorrowed) {
  use("tenants: {a: {guaranteed: 16, guaranteed_gpus: 4}, b: {guaranteed: 16, guaranteed_gpus: 4}}");
  add_nodes(2, 16, 4);
  add_singles(8, "a", "a");
  add("plain", "a", {8, 8});
  cluster_.settle();
  ASSERT_EQ(gpus_of("a"), 8U);
  add_with_gpus("own", "b", {2, 2}, 2).priority = kLowPriority;
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.preemptions.size(), 4U);
  for (const Preemption& one : plan.preemptions) EXPECT_NE(one.job, "plain");
  cluster_.settle();
  EXPECT_EQ(gpus_of("b"), 4U);
  EXPECT_EQ(gpus_of("a"), 4U);
  EXPECT_EQ(cluster_.live("plain"), 8U);
}

/// DS_SEED=1049881 of `TenantProperty`: by slots, of which "plain" has all that b is guaranteed, it is a's
/// turn first.
TEST_F(GpuGuarantees, AreNotHadBackFromAGangThatIsRefilledByTheSamePlan) {
  use("tenants: {a: {guaranteed: 8, guaranteed_gpus: 1, borrowing_limit: 0, weight: 2}, "
      "b: {guaranteed: 3, guaranteed_gpus: 3, gpu_limit: 4}}");
  add_nodes(1, 12, 4);
  add("plain", "b", {3, 3}, kLowPriority);
  cluster_.settle();
  add_with_gpus("refilled", "a", {3, 3});
  add_with_gpus("own", "b", {2, 2}).priority = kHighPriority;
  for (const char* job : {"refilled", "own"}) cluster_.start_worker(job, "n0");
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"refilled", "n0", 2}}));
  EXPECT_EQ(plan.preemptions, (std::vector<Preemption>{}));
  EXPECT_EQ(plan.releases, (std::vector<Release>{}));
  cluster_.carry_out(plan);
  const Plan next = cluster_.plan();
  EXPECT_EQ(next.preemptions, (std::vector<Preemption>{{"refilled", "own"}, {"plain", "own"}}));
  EXPECT_EQ(next.releases.size(), 6U) << "all that they have";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("own"), 2U);
  EXPECT_EQ(cluster_.live("refilled"), 0U) << "there are two GPUs left, of which a is guaranteed one";
}

TEST_F(GpuGuarantees, AreNoneWhereAQueueIsGuaranteedSlotsAlone) {
  use("tenants: {a: {guaranteed: 16}, b: {guaranteed: 8, guaranteed_gpus: 2}}");
  add_nodes(1, 32, 4);
  add_singles(2, "a", "a");
  add_singles(2, "b", "b");
  cluster_.settle();
  add_with_gpus("waits", "a", {1, 1});
  EXPECT_TRUE(cluster_.plan().preemptions.empty());
  cluster_.end_job("b0");
  cluster_.settle();
  ASSERT_EQ(gpus_of("a"), 3U);
  add_with_gpus("own", "b", {1, 1});
  EXPECT_EQ(cluster_.plan().preemptions.size(), 1U) << "all that a has of GPUs is borrowed";
}

/// Where nobody is guaranteed GPUs, slots alone say who is within a guarantee.
TEST_F(GpuGuarantees, AreNoMatterWhereNobodyHasAny) {
  use("tenants: {a: {guaranteed: 2}, b: {guaranteed: 2}}");
  add_nodes(1, 4, 2);
  add_singles(2, "a", "a");
  cluster_.settle();
  add_with_gpus("waits", "b", {1, 1});
  EXPECT_TRUE(cluster_.plan().preemptions.empty()) << "a is within its slots, and nobody is guaranteed GPUs";
}

/// DS_SEED=702598 of `TenantProperty`: the first in turn is within its slots and lacks the GPU alone. Behind
/// it nobody takes back what is his: on the node with the GPU that may be the slot that it will need.
TEST_F(GpuGuarantees, DecideWhetherOneThatWaitsForThemKeepsOthersFromTheirSlots) {
  use("tenants: {a: {guaranteed: 2, lending_limit: 0}, b: {guaranteed: 3}, c: {}}");
  add_nodes(1, 5, 1);
  add_with_gpus("has it", "b", {1, 1});
  add("grown", "c", {1, 3});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("grown"), 2U) << "all that b has left to lend";
  add_with_gpus("first", "a", {1, 1});
  add("own", "b", {1, 1});
  EXPECT_EQ(cluster_.settle(), 0) << "slots alone are guaranteed, so it is the turn of the first";
  EXPECT_EQ(codes_of(cluster_.plan(), "own"), (Codes{"quota_tenant", "fair_share_turn", "no_capacity_now"}));

  use("tenants: {a: {guaranteed: 2, lending_limit: 0}, b: {guaranteed: 3, guaranteed_gpus: 1}, c: {}}");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("own"), 1U) << "the first would borrow the GPU, and keeps nobody back";
  EXPECT_EQ(cluster_.live("grown"), 1U);
  EXPECT_EQ(cluster_.live("has it"), 1U);
}

TEST_F(GpuGuarantees, LeaveJobsWithoutGpusToTheirSlots) {
  use("tenants: {a: {guaranteed: 6, guaranteed_gpus: 2}, b: {guaranteed: 2, guaranteed_gpus: 2}}");
  add_nodes(1, 8, 4);
  add_singles(4, "a", "a");
  add("of b", "b", {4, 4});
  cluster_.settle();
  ASSERT_EQ(gpus_of("a"), 4U);
  ASSERT_EQ(cluster_.live("of b"), 4U);
  // a has borrowed GPUs, and has slots left of its own; b has borrowed slots.
  add("plain", "a", {1, 1}, kCriticalPriority);
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"of b", "plain"}}));
}

TEST_F(GpuGuarantees, OfAQueueAreHadBackFromItsSister) {
  use("tenants: {a: {queues: {x: {guaranteed: 4, guaranteed_gpus: 2}, y: {guaranteed: 4, guaranteed_gpus: "
      "2}}}, "
      "b: {guaranteed: 4}}");
  add_nodes(1, 12, 4);
  for (int i = 0; i < 4; ++i) add("x" + std::to_string(i), "a", "x", {1, 1}).gpus = 1;
  cluster_.settle();
  add_with_gpus("b waits", "b", {1, 1});
  add("y", "a", "y", {2, 2}).gpus = 1;
  EXPECT_EQ(cluster_.plan().preemptions.size(), 2U);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("y"), 2U);
  EXPECT_EQ(cluster_.live("b waits"), 0U);
}

TEST_F(GpuGuarantees, AreNotLentToJobsThatAreNotPreemptible) {
  use("tenants: {a: {guaranteed: 4, guaranteed_gpus: 1}, b: {guaranteed: 4, guaranteed_gpus: 2}, c: {}}");
  add_nodes(1, 32, 4);
  add_with_gpus("fixed", "a", {3, 3}).preemptible = false;
  EXPECT_TRUE(cluster_.plan().placements.empty());
  EXPECT_EQ(codes_of(cluster_.plan(), "fixed"), (Codes{"quota_tenant", "never_fits"}));
  EXPECT_EQ(text_of(cluster_.plan(), "fixed"),
            "needs 3 GPUs, and is not preemptible: of 4 GPUs 3 are guaranteed to tenants, who could not have "
            "theirs back");
  cluster_.demand("fixed").workers = {2, 8};
  cluster_.settle();
  EXPECT_EQ(cluster_.live("fixed"), 2U) << "one of its own, and one that is nobody's";
  add_with_gpus("more", "a", {1, 1}).preemptible = false;
  EXPECT_EQ(text_of(cluster_.plan(), "more"),
            "needs 1 GPU, and is not preemptible: of 4 GPUs 3 are guaranteed to tenants, who could not have "
            "theirs back; such jobs have 2");
  EXPECT_EQ(cluster_.plan().waits[0].reasons[0].blocking, (std::vector<std::string>{"fixed"}));
  add("plain", "c", {16, 16}).preemptible = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("plain"), 16U) << "one without GPUs waits for none";
  add_with_gpus("borrows", "a", {2, 2});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("borrows"), 2U) << "it can be preempted";
  add_with_gpus("own", "b", {2, 2}).preemptible = false;
  cluster_.settle();
  EXPECT_EQ(cluster_.live("own"), 2U);
}

TEST_F(GpuGuarantees, SayWhoseTurnItIsByWhatItIsGuaranteed) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 4, guaranteed_gpus: 2}}");
  add_nodes(1, 8, 2);
  add_singles(1, "a", "a");
  cluster_.settle();
  cluster_.demand("a0").is_young = true;
  add_with_gpus("gang", "b", {1, 1}, 2);
  add_with_gpus("of a", "a", {1, 1});
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.placements.empty()) << "the other GPU is kept for who is guaranteed both";
  EXPECT_EQ(
      text_of(plan, "of a"),
      "needs 1 worker of 1 slot and 1 GPU, and it is the turn of 1 job of other queues: b is still within "
      "what it is guaranteed");
}

TEST_F(GpuGuarantees, OfAPromisedDeadlineCountToo) {
  use("tenants: {a: {guaranteed: 4, guaranteed_gpus: 1}, b: {guaranteed: 4, guaranteed_gpus: 1}}");
  add_nodes(1, 8, 2);
  add_singles(2, "b", "b");
  cluster_.settle();
  ASSERT_EQ(gpus_of("b"), 2U);
  Demand& promised = add_with_gpus("promised", "a", {1, 1});
  promised.has_promise = true;
  promised.lasts_ms = 10'000;
  EXPECT_EQ(cluster_.plan().preemptions.size(), 1U);
  cluster_.demand("promised").workers = {2, 2};
  EXPECT_TRUE(cluster_.plan().preemptions.empty()) << "it would borrow a GPU";
  EXPECT_NE(codes_of(cluster_.plan(), "promised"), Codes{});
}

}  // namespace
}  // namespace ds::scheduler
