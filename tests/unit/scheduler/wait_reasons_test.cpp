// What a job that waits is told, where several things could be in its way.
#include "scheduler/policy/wait_reasons.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;

using WaitReasons = testing::TenantCluster;

TEST(WaitReasonsOfAJobWithGpus, SayThatGpusAreThereWhereMemoryIsShort) {
  WaitFacts facts;
  facts.job = "a";
  facts.memory_bytes = 8ULL << 30;
  facts.fitting_now_by_slots = 2;
  facts.fitting_ever = 4;
  facts.gpus = 1;
  facts.gpu_kind = "H200";
  facts.gpus_there = {{"H200", 4, 2}};
  const auto reasons = explain_wait(facts);
  const auto memory = std::ranges::find(reasons, "memory", &Reason::code);
  ASSERT_NE(memory, reasons.end());
  EXPECT_EQ(memory->text,
            "each worker needs 8Gi of memory, which leaves room for 0 where there are slots and GPUs for 2");
}

TEST_F(WaitReasons, BlameNobodyWhoDoesNotLendWhenAllSlotsAreUsed) {
  use("tenants: {a: {guaranteed: 4, lending_limit: 2}, b: {guaranteed: 4}, c: {}}");
  cluster_.add_node("n", 16);
  add("of a", "a", {4, 4});
  add("of c", "c", {12, 12});
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 16U);
  add("waits", "c", {3, 3});
  EXPECT_EQ(codes_of(cluster_.plan(), "waits"), Codes{"no_capacity_now"});
  cluster_.end_job("of a");
  EXPECT_EQ(
      text_of(cluster_.plan(), "waits"),
      "needs 3 slots, and of 16 slots 12 are used and others are kept for tenants that do not lend them");
}

TEST_F(WaitReasons, NameWhoHasTheRoomAndNotWhoKeepsOthersFromTakingItBack) {
  use("tenants: {a: {guaranteed: 2}, b: {}, c: {}}");
  cluster_.add_node("n", 5);
  add("running", "c", {4, 4});
  cluster_.settle();
  add("waits", "b", {3, 3}, kHighPriority);
  add("beyond", "a", {3, 3});
  add("within", "a", {2, 2});
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 4U);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_EQ(codes_of(plan, "waits"), Codes{"no_capacity_now"});
  EXPECT_EQ(wait->reasons.front().blocking, Codes{"running"});
  cluster_.end_job("beyond");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("running"), 0U) << "it had two that a is guaranteed, and within is a's first now";
  EXPECT_EQ(cluster_.live("within"), 2U);
  EXPECT_EQ(cluster_.live("waits"), 3U) << "what running leaves beyond these";
}

/// DS_SEED=1012130 of `TenantProperty`.
TEST_F(WaitReasons, NameAGangOfTheQueueWhoseTurnIsFirstThoughItIsLessUrgent) {
  use("tenants: {a: {guaranteed: 4}, b: {guaranteed: 1}}");
  cluster_.add_gpu_node("small", 1, 2, "NVIDIA H200");
  cluster_.add_gpu_node("n", 4, 2, "NVIDIA H200");
  Demand& gang = add("gang", "a", {3, 3}, kLowPriority);
  gang.gpus = 1;
  gang.preemptible = false;
  for (int i = 0; i < 2; ++i) cluster_.start_worker("gang", "n");
  add("has the other GPUs", "a", {1, 1}, kHighPriority).gpus = 1;
  cluster_.start_worker("has the other GPUs", "small");
  add("waits", "a", {1, 1}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(codes_of(plan, "waits"), (Codes{"fair_share_turn", "no_capacity_now"}));
  EXPECT_EQ(text_of(plan, "waits"),
            "needs 1 worker of 1 slot, and for what a is guaranteed 1 job comes before it; it "
            "would fit now, but beside it gang would need more than its queue is guaranteed");
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  EXPECT_EQ(wait->reasons.front().blocking, Codes{"gang"});
  EXPECT_EQ(codes_of(plan, "gang"), Codes{"gang_partial"});
  cluster_.end_job("gang");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U);
}

TEST_F(WaitReasons, NameWhoComesBeforeForWhatTheTenantIsGuaranteedThoughItWaitsForAQuota) {
  use("tenants: {a: {guaranteed: 3, queues: {x: {}, y: {guaranteed: 3, borrowing_limit: 0}}}, b: {}}");
  cluster_.add_node("n", 6);
  add("of y", "a", "y", {2, 2});
  add("of b", "b", {4, 4});
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 6U);
  add("before", "a", "y", {2, 2}, kHighPriority);
  add("waits", "a", "x", {1, 1});
  cluster_.settle();
  const Plan plan = cluster_.plan();
  EXPECT_EQ(codes_of(plan, "waits"), (Codes{"fair_share_turn", "no_capacity_now"}));
  EXPECT_EQ(text_of(plan, "waits"),
            "needs 1 worker of 1 slot, and for what a/x is guaranteed 1 job comes before it");
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  EXPECT_EQ(wait->reasons.front().blocking, Codes{"before"});
  cluster_.end_job("before");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U) << "what b has borrowed of the third slot is a's";
}

/// DS_SEED=8404446 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoIsBeforeOthersThatWouldHaveTheTurnForWhichWhatIsFreeIsKept) {
  use("tenants: {b: {guaranteed: 4, lending_limit: 0, borrowing_limit: 0}, c: {}}");
  cluster_.add_node("n", 6, 10ULL << 30);
  Demand& runs = add("runs", "b", {3, 3});
  runs.memory_bytes = 3ULL << 30;
  runs.lasts_ms = 70'000;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("runs"), 3U);
  add("large", "b", {2, 2});
  add("next", "b", {1, 1}).memory_bytes = 2ULL << 30;
  add("first", "c", {2, 2}).memory_bytes = 1ULL << 30;
  add("small", "c", {1, 1});
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "small", &Wait::job);
  ASSERT_NE(wait, plan.waits.end());
  const auto turn = std::ranges::find(wait->reasons, "fair_share_turn", &Reason::code);
  ASSERT_NE(turn, wait->reasons.end());
  EXPECT_EQ(turn->text,
            "needs 1 worker of 1 slot, and who else is within what queues are guaranteed goes by 1 job that "
            "waits");
  EXPECT_EQ(turn->blocking, Codes{"large"});
  cluster_.end_job("large");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("small"), 1U) << "it is the turn of next, in whose way it is not";
  EXPECT_EQ(cluster_.live("first"), 0U);
}

/// DS_SEED=21035127 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoIsBeforeOthersForAGuaranteeWithoutWhichTheyCouldBePreempted) {
  use("tenants: {a: {guaranteed: 6}, c: {guaranteed: 2, queues: {x: {}, y: {guaranteed: 2}}}}");
  cluster_.add_node("n", 7);
  add("of x", "c", "x", {2, 2}, kHighPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("of x"), 2U);
  add("large", "c", "y", {5, 5});
  add("small", "c", "y", {1, 1});
  cluster_.start_worker("small", "n");
  add("waits", "a", {6, 6});
  EXPECT_EQ(cluster_.settle(), 0) << "of the two of c none is left to small, which is behind large in y";
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_EQ(codes_of(plan, "waits"), (Codes{"fair_share_turn", "no_capacity_now"}));
  EXPECT_EQ(wait->reasons[0].text,
            "needs 6 workers of 1 slot each, and who else is within what queues are guaranteed goes by 1 job "
            "that waits");
  EXPECT_EQ(wait->reasons[0].blocking, Codes{"large"});
  EXPECT_EQ(wait->reasons[1].blocking, (Codes{"of x", "small"}));
  cluster_.end_job("large");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 6U) << "small is within what y is guaranteed, and for x none is left";
  EXPECT_EQ(cluster_.live("small"), 1U);
}

/// DS_SEED=30060027 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoRunsBeforeItOnWhatItsQueueIsGuaranteedWhereItLacksAQuotaAlone) {
  use("tenants: {c: {guaranteed: 2, gpu_limit: 3, queues: {x: {guaranteed: 1}, y: {guaranteed: 1}}}}");
  cluster_.add_gpu_node("g", 8, 4, "NVIDIA H200");
  add("before", "c", "x", {3, 3}, kHighPriority);
  add("of y", "c", "y", {2, 2}).gpus = 1;
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 5U);
  add("waits", "c", "x", {1, 1}).gpus = 2;
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  ASSERT_EQ(codes_of(plan, "waits"), (Codes{"quota_tenant", "fair_share_turn"}));
  EXPECT_EQ(plan.waits[0].reasons[0].blocking, Codes{"of y"});
  EXPECT_EQ(plan.waits[0].reasons[1].text,
            "needs 1 worker of 1 slot and 2 GPUs, and for what c/x is guaranteed 1 job comes before it");
  EXPECT_EQ(plan.waits[0].reasons[1].blocking, Codes{"before"});
  cluster_.end_job("before");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U) << "it is within what x is guaranteed, and of y is not within y's";
}

/// DS_SEED=8424689 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoHasRoomWhereOneForWhomItIsKeptLacksAQuotaAlone) {
  use("tenants: {a: {}, c: {gpu_limit: 2}}");
  cluster_.add_gpu_node("g", 4, 4, "NVIDIA H200");
  Demand& runs = add("runs", "c", {1, 1});
  runs.gpus = 1;
  runs.lasts_ms = 70'000;
  add("of a", "a", {1, 1}, kHighPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 2U);
  add("first", "c", {2, 2}).gpus = 1;
  add("behind", "c", {2, 2});
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "behind", &Wait::job);
  ASSERT_EQ(codes_of(plan, "behind"), (Codes{"priority_behind", "quota_tenant", "no_capacity_now"}));
  EXPECT_EQ(wait->reasons[2].text,
            "needs 2 workers of 1 slot each beside the room that is kept for first, and there is not enough "
            "for both");
  EXPECT_EQ(wait->reasons[2].blocking, (Codes{"of a", "runs"}));
  cluster_.end_job("of a");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("behind"), 2U) << "when runs has ended there is room for both";
  EXPECT_EQ(cluster_.live("first"), 0U);
}

/// DS_SEED=60015693 of `WhyOracle`.
TEST_F(WaitReasons, NameASistersJobThatComesBeforeItWhereTheOrderOfJobsDecidesBetweenTenants) {
  use("tenants: {a: {}, c: {queues: {x: {}, y: {}}}}");
  cluster_.add_node("n", 8, 8ULL << 30);
  add("of a", "a", {1, 1}).memory_bytes = 3ULL << 30;
  add("of x", "c", "x", {1, 1}).memory_bytes = 3ULL << 30;
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 2U);
  add("first", "a", {1, 1}).memory_bytes = 8ULL << 30;
  add("sister", "c", "y", {1, 1}, kLowPriority).memory_bytes = 1ULL << 30;
  add("waits", "c", "x", {1, 1}, kHighPriority).memory_bytes = 1ULL << 30;
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_NE(wait, plan.waits.end());
  EXPECT_EQ(
      wait->reasons[0].text,
      "needs 1 worker of 1 slot and 1Gi, and it is the turn of 2 jobs of other queues: a has 0.38 of the "
      "cluster for its weight, c 0.38; it would fit now, but jobs without a time_limit run, so that "
      "nobody knows when first needs the room");
  EXPECT_EQ(wait->reasons[0].blocking, (Codes{"first", "sister"}));
  cluster_.end_job("sister");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U) << "it is more urgent than first, sister was not";
  EXPECT_EQ(cluster_.live("first"), 0U);
}

/// DS_SEED=70077421 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoMayTakeRoomBeforeOneOfWhichNobodyKnowsWhenItHasRoom) {
  use("tenants: {c: {queues: {x: {borrowing_limit: 2}, y: {}}}}");
  cluster_.add_node("n", 8);
  add("of x", "c", "x", {1, 1});
  add("of y", "c", "y", {3, 3}, kHighPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 4U);
  add("lacks a quota", "c", "x", {2, 2});
  add("first", "c", "y", {6, 6}, kHighPriority);
  add("waits", "c", "y", {1, 1});
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_EQ(codes_of(plan, "waits"), (Codes{"priority_behind", "no_capacity_now", "fair_share_turn"}));
  EXPECT_EQ(wait->reasons[0].blocking, Codes{"first"});
  EXPECT_EQ(wait->reasons[2].text,
            "first, which comes first, may find less room when 1 job of other queues has started");
  EXPECT_EQ(wait->reasons[2].blocking, Codes{"lacks a quota"});
  cluster_.end_job("lacks a quota");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U) << "when of y has ended there are seven slots at least";
  EXPECT_EQ(cluster_.live("first"), 0U);
}

/// DS_SEED=70138118 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoIsBeforeOneThatRunsForAGuaranteeThatTheFirstOfTheQueueHasWithoutThat) {
  use("tenants: {c: {guaranteed: 2, queues: {x: {guaranteed: 2}, y: {}}}}");
  cluster_.add_node("n", 6, 3ULL << 30);
  add("of x", "c", "x", {2, 2}, kLowPriority).memory_bytes = 1ULL << 30;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("of x"), 2U);
  add("large", "c", "x", {3, 3}).memory_bytes = 1ULL << 30;
  add("first", "c", "y", {2, 2}, kHighPriority).memory_bytes = 1ULL << 30;
  add("waits", "c", "y", {1, 1});
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_NE(wait, plan.waits.end());
  EXPECT_EQ(wait->reasons[0].text,
            "needs 1 worker of 1 slot, and 1 job of higher priority must start first; it would fit now, but "
            "beside it first would need more than its queue is guaranteed");
  EXPECT_EQ(wait->reasons[0].blocking, Codes{"first"});
  EXPECT_EQ(wait->reasons[1].text,
            "needs 1 worker of 1 slot, and who else is within what queues are guaranteed goes by 1 job that "
            "waits");
  EXPECT_EQ(wait->reasons[1].blocking, Codes{"large"});
  cluster_.end_job("large");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("waits"), 1U) << "of x has what c is guaranteed, which first needs no more";
  EXPECT_EQ(cluster_.live("first"), 0U);
}

/// DS_SEED=70072037 of `WhyOracle`.
TEST_F(WaitReasons, NameWhoKeepsOthersFromAGangThatLacksWorkersAndHasWhatAFixedJobWaitsFor) {
  use("tenants: {a: {guaranteed: 3}, b: {}, c: {queues: {x: {}, y: {}}}}");
  cluster_.add_node("n", 8);
  add("of b", "b", {4, 4}, kHighPriority);
  cluster_.settle();
  add("gang", "c", "x", {9, 9}).preemptible = false;
  cluster_.start_worker("gang", "n");
  add("large", "b", {5, 5}, kHighPriority);
  add("small", "b", {4, 4});
  add("waits", "c", "y", {1, 1}).preemptible = false;
  EXPECT_EQ(cluster_.settle(), 0);
  const Plan plan = cluster_.plan();
  const auto wait = std::ranges::find(plan.waits, "waits", &Wait::job);
  ASSERT_EQ(codes_of(plan, "waits"), (Codes{"quota_tenant", "fair_share_turn"}));
  EXPECT_EQ(wait->reasons[0].blocking, Codes{"gang"});
  EXPECT_EQ(wait->reasons[1].text,
            "gang, which comes first, lacks workers, and who could take those that it has is behind 1 job of "
            "other queues");
  EXPECT_EQ(wait->reasons[1].blocking, Codes{"large"});
  cluster_.end_job("large");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 0U) << "small could have its worker";
  EXPECT_EQ(cluster_.live("waits"), 1U) << "and its turn is before small's";
}

TEST_F(WaitReasons, SayThatAWaitIsForEverWhereNoQuotaEverAllowsTheMinimum) {
  use("tenants: {a: {guaranteed: 6, lending_limit: 2}, b: {}, c: {borrowing_limit: 3}}");
  cluster_.add_node("n", 8);
  add("unlent", "b", {5, 5});
  add("not borrowed", "c", {4, 4});
  add("gone", "d", {1, 1});
  const Plan plan = cluster_.plan();
  const auto never_of = [&](const Plan& from, const std::string& job) {
    for (const Wait& wait : from.waits) {
      if (wait.job == job && wait.reasons.size() == 2) return wait.reasons[1].text;
    }
    return std::string();
  };
  for (const auto& job : {"unlent", "not borrowed", "gone"})
    EXPECT_EQ(codes_of(plan, job), (Codes{"quota_tenant", "never_fits"})) << job;
  EXPECT_EQ(text_of(plan, "unlent"),
            "needs 5 slots, and of 8 slots so many are kept for tenants that do not lend them that it can "
            "never have these");
  EXPECT_EQ(
      never_of(plan, "unlent"),
      "never starts 5 workers of 1 slot each with what tenants may use now, whoever ends: its owner may "
      "want fewer workers, or an operator may lend it more, or add nodes");
  EXPECT_EQ(
      never_of(plan, "not borrowed"),
      "never starts 4 workers of 1 slot each with what tenants may use now, whoever ends: its owner may "
      "want fewer workers, or an operator may allow its queue more");
  EXPECT_EQ(never_of(plan, "gone"),
            "never starts 1 worker of 1 slot with what tenants may use now, whoever ends: an operator may "
            "name its tenant and queue again");

  // With more nodes more is lent: where some are away it is not for ever.
  cluster_.add_node("away", 8);
  cluster_.node("away").available = false;
  EXPECT_EQ(codes_of(cluster_.plan(), "unlent"), Codes{"quota_tenant"});
}

TEST_F(WaitReasons, SayWhenAJobThatCrashedIsTriedAgainAndHowOften) {
  cluster_.add_node("n", 8);
  Demand& job = add("crashed", "default", {2, 2});
  job.held = true;
  EXPECT_EQ(text_of(cluster_.plan(), "crashed"),
            "waits after a crash before it starts 2 workers of 1 slot each again");
  job.held_until_ms = 1'800'000'000'000;
  job.restart = 2;
  job.restart_limit = 3;
  EXPECT_EQ(text_of(cluster_.plan(), "crashed"),
            "waits after a crash before it starts 2 workers of 1 slot each again, restart 2 of 3, at "
            "2027-01-15T08:00:00Z");
  Reason reason{"backoff_restart", "waits after a crash", {}};
  add_crash(reason, "");
  EXPECT_EQ(reason.text, "waits after a crash");
  add_crash(reason, "model.pt: no such file");
  EXPECT_EQ(reason.text, "waits after a crash; it was: model.pt: no such file");
  job.restart = 4;  // what nodes did is not held against it
  EXPECT_EQ(text_of(cluster_.plan(), "crashed"),
            "waits after a crash before it starts 2 workers of 1 slot each again, restart 4, at "
            "2027-01-15T08:00:00Z");
}

TEST_F(WaitReasons, NameTheWorkersThatStopAndStillCountForAQuota) {
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 0}}");
  cluster_.add_node("n", 8);
  add("cancelled", "a", {2, 2});
  cluster_.settle();
  for (Lease& lease : cluster_.leases) lease.releasing = true;
  std::erase_if(cluster_.demands, [](const Demand& demand) { return demand.job == "cancelled"; });
  add("next", "a", {2, 2});
  EXPECT_EQ(
      text_of(cluster_.plan(), "next"),
      "needs 2 slots, and a may have 2 (2 guaranteed, 0 borrowed) and has 2; it starts when 2 workers that "
      "are stopping are gone");
}

TEST_F(WaitReasons, TellPromisesFromPriorities) {
  cluster_.add_node("n", 4);
  cluster_.add_job("runs", {4, 4});
  cluster_.demands.back().preemptible = false;
  cluster_.settle();
  cluster_.add_job("promised", {2, 2});
  cluster_.demands.back().priority = kLowPriority;
  cluster_.demands.back().has_promise = true;
  cluster_.add_job("high", {1, 1});
  cluster_.demands.back().priority = kHighPriority;
  cluster_.add_job("waits", {1, 1});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(text_of(plan, "high"),
            "needs 1 worker of 1 slot, and 1 job with an accepted deadline must start first");
  EXPECT_EQ(text_of(plan, "waits"),
            "needs 1 worker of 1 slot, and 2 jobs with an accepted deadline or of higher priority must start "
            "first");
}

TEST_F(WaitReasons, CountAGangThatHasWorkersAndWaitsBeforeAnotherOnce) {
  WaitFacts facts;
  facts.workers = 1;
  facts.needed = 3;
  facts.occupants.names = {"a", "b"};
  facts.occupants.count = 2;
  facts.ahead = 2;
  facts.ahead_names = {"b", "c"};
  const Reason few = explain_wait(facts).front();
  EXPECT_EQ(few.code, "gang_partial");
  EXPECT_EQ(few.blocking, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(few.unnamed, 0U);
  EXPECT_EQ(few.text.find("named"), std::string::npos) << few.text;

  facts.ahead = 30;
  facts.ahead_names.clear();
  for (int i = 0; i < 20; ++i) facts.ahead_names.push_back("ahead" + std::to_string(i));
  const Reason many = explain_wait(facts).front();
  EXPECT_EQ(many.blocking.size(), 20U);
  EXPECT_EQ(many.unnamed, 10U) << "the two that have workers may be among those 30";
  EXPECT_TRUE(
      many.text.ends_with("; 20 of the jobs in the way are named, and 30 jobs of its queue wait before it"))
      << many.text;
}

TEST_F(WaitReasons, SayThatSlotsAndGpusAreFreeButNotOnOneNode) {
  cluster_.add_gpu_node("g", 2, 2, "NVIDIA H200");
  cluster_.add_node("n", 2);
  cluster_.add_job("without", {2, 2});
  for (int i = 0; i < 2; ++i) cluster_.start_worker("without", "g");
  cluster_.add_gpu_job("waits", {1, 1}, 1, "H200");
  EXPECT_EQ(text_of(cluster_.plan(), "waits"),
            "needs 1 worker of 1 slot and 1 H200 GPU at once, and 0 fit now: 2 of 4 slots are free, and 2 of "
            "2 H200 "
            "GPUs, but no node has enough of both for a worker");
}

}  // namespace
}  // namespace ds::scheduler
