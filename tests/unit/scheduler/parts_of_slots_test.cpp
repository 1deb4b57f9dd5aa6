// Workers that have a part of a slot.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::codes_of;
using testing::text_of;

constexpr SlotCount kHalf = SlotCount::of_thousandths(500);

class PartsOfSlots : public ::testing::Test {
 protected:
  Demand& add(const std::string& job, SlotCount slots, WorkerCount workers = {1, 1}) {
    cluster_.add_job(job, workers, slots);
    return cluster_.demands.back();
  }
  /// One node, which the tenants of that file share.
  void share(const std::string& tenants, std::uint32_t slots) {
    cluster_.tenants = std::get<TenantTree>(parse_tenant_file(tenants));
    cluster_.add_node("n", slots);
  }
  ClusterModel cluster_;
};

TEST_F(PartsOfSlots, FillASlotToTheThousandth) {
  cluster_.add_node("n", 2);
  for (const auto* job : {"a", "b", "c"}) add(job, kHalf);
  add("d", SlotCount::of_thousandths(499));
  cluster_.settle();
  for (const auto* job : {"a", "b", "c", "d"}) EXPECT_EQ(cluster_.live(job), 1U);
  add("e", SlotCount::of_thousandths(2));
  EXPECT_EQ(text_of(cluster_.plan(), "e"),
            "needs 1 worker of 0.002 slots at once, and 0 fit now: 0.001 of 2 slots are free");
  cluster_.end_job("e");
  add("f", SlotCount::of_thousandths(1));
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"f", "n", 1}}));
}

TEST_F(PartsOfSlots, OfTwoNodesDoNotMakeAWhole) {
  cluster_.add_node("n1", 1);
  cluster_.add_node("n2", 1);
  add("a", kHalf);
  cluster_.start_worker("a", "n1");
  add("b", kHalf);
  cluster_.start_worker("b", "n2");
  add("whole", 1);
  EXPECT_EQ(
      text_of(cluster_.plan(), "whole"),
      "needs 1 worker of 1 slot at once, and 0 fit now: 1 of 2 slots is free, but no node has enough for "
      "a worker");
  cluster_.end_job("whole");
  add("two", SlotCount::of_thousandths(400), {2, 2});
  cluster_.settle();
  cluster_.add_node("n3", 1);
  add("three", SlotCount::of_thousandths(400), {3, 3});
  EXPECT_EQ(text_of(cluster_.plan(), "three"),
            "needs 3 workers of 0.4 slots each at once, and 2 fit now: 1.2 of 3 slots are free, but no node "
            "has enough for one more");
  cluster_.end_job("three");
  add("four", SlotCount::of_thousandths(400), {4, 4});
  EXPECT_EQ(text_of(cluster_.plan(), "four"),
            "needs 4 workers of 0.4 slots each at once, and 2 fit now: 1.2 of 3 slots are free");
}

TEST_F(PartsOfSlots, AreBroughtTogetherByMovingWorkers) {
  cluster_.add_node("n1", 1);
  cluster_.add_node("n2", 1);
  for (const auto* node : {"n1", "n2"}) {
    const std::string job = std::string("on-") + node;
    add(job, kHalf, {1, 2}).can_relocate = true;
    cluster_.demands.back().workers.max = 2;
    cluster_.start_worker(job, node);
  }
  add("whole", 1);
  EXPECT_EQ(cluster_.plan().relocations, (std::vector<Relocation>{{"on-n1", 1, "n1", "n2", "whole", true}}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("whole"), 1U);
}

TEST_F(PartsOfSlots, GoWhereOneIsBegunAlready) {
  cluster_.add_node("n1", 4);
  cluster_.add_node("n2", 4);
  add("a", kHalf);
  cluster_.start_worker("a", "n2");
  add("b", kHalf);
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"b", "n2", 1}}));
}

TEST_F(PartsOfSlots, CountWhenTheCheapestAreSoughtThatMakeWay) {
  cluster_.add_node("n", 2);
  add("half", kHalf).priority = kLowPriority;
  add("more", SlotCount::of_thousandths(900)).priority = kLowPriority;  // and the newest
  add("rest", SlotCount::of_thousandths(600)).priority = kHighPriority;
  cluster_.settle();
  add("urgent", kHalf);
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"half", "urgent"}}));
}

TEST_F(PartsOfSlots, OfAGuaranteeAreGrownInto) {
  share("tenants: {a: {guaranteed: 1}, b: {guaranteed: 3}}", 4);
  add("lent", SlotCount::of_thousandths(700), {1, 5}).tenant = "a";
  cluster_.settle();
  ASSERT_EQ(cluster_.live("lent"), 5U);  // 3.5
  add("owner", kHalf, {1, 6}).tenant = "b";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("owner"), 6U) << "its queue is guaranteed them, and a no second worker";
  EXPECT_EQ(cluster_.live("lent"), 1U);
}

TEST_F(PartsOfSlots, OfAGuaranteeAreHadBackThoughTheOtherWorkersDoNotAddUpToTheirs) {
  share("tenants: {a: {guaranteed: 1}, b: {guaranteed: 1}}", 2);
  add("lent", SlotCount::of_thousandths(700), {1, 2}).tenant = "a";
  cluster_.settle();
  ASSERT_EQ(cluster_.live("lent"), 2U);  // 1.4
  add("owner", 1).tenant = "b";
  ASSERT_LT(cluster_.settle(), 5);
  EXPECT_EQ(cluster_.live("lent"), 1U);
  EXPECT_EQ(cluster_.live("owner"), 1U);
}

TEST_F(PartsOfSlots, OfAGuaranteeAreNotForOneWhoBorrows) {
  share("tenants: {a: {guaranteed: 1}, b: {}}", 2);
  add("own", SlotCount::of_thousandths(700), {1, 2}).tenant = "a";
  cluster_.settle();
  ASSERT_EQ(cluster_.live("own"), 2U);
  add("borrower", 1).tenant = "b";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("own"), 2U) << "without another its queue would have 0.7 of the 1 that is its own";
  EXPECT_EQ(cluster_.live("borrower"), 0U);
}

TEST_F(PartsOfSlots, PassNoQuota) {
  cluster_.tenants = std::get<TenantTree>(
      parse_tenant_file("tenants: {a: {guaranteed: 1, borrowing_limit: 0}, b: {guaranteed: 1}}"));
  cluster_.add_node("n", 4);
  add("a", SlotCount::of_thousandths(300), {1, 9}).tenant = "a";
  cluster_.settle();
  EXPECT_EQ(cluster_.live("a"), 3U);
  add("b", SlotCount::of_thousandths(250)).tenant = "a";
  cluster_.demand("a").preemptible = false;
  EXPECT_EQ(text_of(cluster_.plan(), "b"),
            "needs 0.25 slots, and a may have 1 (1 guaranteed, 0 borrowed) and has 0.9");
}

TEST_F(PartsOfSlots, StartBesideGpusThatAnotherWaitsForWhereTheyAreNotInItsWay) {
  cluster_.add_gpu_node("node", 3, 1, "NVIDIA H200");
  cluster_.add_gpu_job("runs", {1, 1}, 1, "");
  cluster_.start_worker("runs", "node");
  add("half", kHalf);
  cluster_.start_worker("half", "node");
  cluster_.add_gpu_job("waits", {1, 1}, 1, "");  // nobody knows for how long
  cluster_.demands.back().slots = 2;
  add("fits", kHalf);
  add("not", kHalf);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"fits", "node", 1}}));
  EXPECT_EQ(codes_of(plan, "not"), (std::vector<std::string>{"priority_behind", "no_capacity_now"}));
}

TEST_F(PartsOfSlots, GrowSoonerForTheSameGain) {
  Demand whole = add("whole", 1, {1, 4}), half = add("half", kHalf, {1, 4});
  EXPECT_DOUBLE_EQ(next_growth(half, 1).gain, 2 * next_growth(whole, 1).gain);
  EXPECT_DOUBLE_EQ(loss_of_one(half, 2), 2 * loss_of_one(whole, 2));
}

}  // namespace
}  // namespace ds::scheduler
