#include <algorithm>

#include "tests/unit/job/gang_steps.hpp"

namespace ds::job {
namespace {

TEST(Gang, GivesAFreshWorkerItsJob) {
  Gang gang(options(4, 1));
  gang.set_leases({{7, false}}, milliseconds(0));
  const auto actions = gang.on_hello(7, {WorkerPhase::fresh, 0, 0}, milliseconds(0));
  ASSERT_EQ(of<AssignWorker>(actions).size(), 1U);
  EXPECT_EQ(of<AssignWorker>(actions)[0].worker, 7U);
}

TEST(Gang, StopsAWorkerThatHasNoLease) {
  Gang gang(options(4, 1));
  EXPECT_EQ(of<StopWorker>(gang.on_hello(9, kReady, milliseconds(0))).size(), 1U);
}

TEST(Gang, WaitsForAllLeasedWorkersBeforeItForms) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  EXPECT_TRUE(of<PauseWorker>(gang.on_hello(1, kReady, milliseconds(0))).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_hello(2, kReady, milliseconds(0))).size(), 2U);
}

TEST(Gang, FormsWithItsMinimumWhenTheRestTakesTooLong) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  gang.on_hello(1, kReady, milliseconds(0));
  EXPECT_TRUE(of<PauseWorker>(gang.on_tick(milliseconds(9'999))).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_tick(milliseconds(10'000))).size(), 1U);
}

TEST(Gang, WaitsForAWorkerAsLongAsItReadsOn) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::fresh, 0, 0}, milliseconds(0));
  for (std::int64_t hour = 0; hour < 10; ++hour) {
    for (std::int64_t minute = 4; minute < 60; minute += 4) {
      const milliseconds now((hour * 60 + minute) * 60'000);
      gang.on_read(1, static_cast<std::uint64_t>(now.count()), now);
      EXPECT_TRUE(of<KillWorker>(gang.on_tick(now)).empty()) << hour << ":" << minute;
    }
  }
  EXPECT_EQ(of<PauseWorker>(gang.on_hello(1, kReady, milliseconds(36'000'000))).size(), 1U);
}

TEST(Gang, KillsAWorkerThatStandsStillWhileItReads) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_read(1, 4096, milliseconds(100'000));
  gang.on_read(1, 4096, milliseconds(200'000));  // that is no more than before
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(399'999))).empty());
  const auto late = of<KillWorker>(gang.on_tick(milliseconds(400'000)));
  ASSERT_EQ(late.size(), 1U);
  EXPECT_TRUE(late[0].at_fault);
  EXPECT_EQ(late[0].why, "it did not get ready, and read nothing more for 300 s");
}

TEST(Gang, NeverFormsBelowItsMinimum) {
  Gang gang(options(4, 2));
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_hello(1, kReady, milliseconds(0));
  EXPECT_TRUE(of<PauseWorker>(gang.on_tick(milliseconds(100'000))).empty());
}

TEST(Gang, RecordsAGenerationBeforeAnybodyJoinsIt) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_hello(1, kReady, milliseconds(0));
  const auto paused = gang.on_paused(1, gang.generation(), 0, milliseconds(0));
  ASSERT_EQ(of<RecordGeneration>(paused).size(), 1U);
  EXPECT_TRUE(of<JoinWorker>(paused).empty());
  const auto recorded = gang.on_recorded(gang.generation(), milliseconds(0));
  ASSERT_EQ(of<JoinWorker>(recorded).size(), 1U);
  EXPECT_FALSE(of<JoinWorker>(recorded)[0].needs_state);
}

TEST(Gang, GoesOnFromTheNewestStepOfTheSurvivors) {
  Gang gang(options(4, 1));
  form(gang, 3);
  gang.on_lost(2, milliseconds(1));
  gang.on_paused(1, gang.generation(), 41, milliseconds(1));
  const auto paused = gang.on_paused(3, gang.generation(), 42, milliseconds(1));
  ASSERT_EQ(of<RecordGeneration>(paused).size(), 1U);
  EXPECT_EQ(of<RecordGeneration>(paused)[0].step, 42U);
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(1)));
  ASSERT_EQ(joins.size(), 2U);
  EXPECT_TRUE(joins[0].needs_state);
  EXPECT_EQ(joins[0].source, 3U);
  EXPECT_FALSE(joins[1].needs_state);
}

TEST(Gang, ReadsTheCheckpointOnlyWhenNoSurvivorIsPastIt) {
  Gang gang(options(2, 1));
  gang.set_checkpoint(100);
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_hello(1, kReady, milliseconds(0));
  gang.on_paused(1, gang.generation(), 0, milliseconds(0));
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(0)));
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].step, 100U);
  EXPECT_EQ(joins[0].source, 0U);
  EXPECT_TRUE(joins[0].needs_state);
}

TEST(Gang, KillsAWorkerWhoseConnectionIsLost) {
  Gang gang(options(2, 1));
  form(gang, 2);
  EXPECT_EQ(of<KillWorker>(gang.on_lost(1, milliseconds(1))).size(), 1U);
  EXPECT_EQ(of<StopWorker>(gang.on_hello(1, kReady, milliseconds(2))).size(), 1U);
}

TEST(Gang, LetsALeavingWorkerHandItsStateOverBeforeItStops) {
  Gang gang(options(4, 1));
  form(gang, 2);
  auto actions = gang.set_leases({{1, true}, {2, false}}, milliseconds(1));
  EXPECT_EQ(of<PauseWorker>(actions).size(), 2U);
  EXPECT_TRUE(of<StopWorker>(actions).empty());
  gang.on_paused(1, gang.generation(), 11, milliseconds(1));
  gang.on_paused(2, gang.generation(), 10, milliseconds(1));
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(1)));
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].source, 1U);
  actions = gang.on_joined(2, gang.generation(), milliseconds(1));
  ASSERT_EQ(of<StopWorker>(actions).size(), 1U);
  EXPECT_EQ(of<StopWorker>(actions)[0].worker, 1U);
  EXPECT_TRUE(gang.is_training());
}

TEST(Gang, KillsAWorkerThatDoesNotPauseInTime) {
  Gang gang(options(4, 1));
  form(gang, 2);
  gang.on_stuck(1, gang.generation(), 5, "", milliseconds(1));
  gang.on_paused(1, gang.generation(), 5, milliseconds(1));
  const auto late = of<KillWorker>(gang.on_tick(milliseconds(60'001)));
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].worker, 2U);
}

/// Brings a gang of two to a pause for which worker 2 is awaited.
void wait_for_the_second(Gang& gang) {
  form(gang, 2);
  gang.on_stuck(1, gang.generation(), 5, "", milliseconds(1));
  gang.on_paused(1, gang.generation(), 5, milliseconds(1));
}

TEST(Gang, WaitsForAMicroBatchThatTakesLongerThanAPauseMay) {
  Gang gang(options(4, 1));
  wait_for_the_second(gang);
  gang.on_pausing(2, gang.generation(), milliseconds(90'000));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(200'000))).empty());
  EXPECT_EQ(of<RecordGeneration>(gang.on_paused(2, gang.generation(), 6, milliseconds(200'001))).size(), 1U);
}

TEST(Gang, KillsAWorkerThatTakesFarLongerThanItsLongestMicroBatch) {
  Gang gang(options(4, 1));
  wait_for_the_second(gang);
  gang.on_pausing(2, gang.generation(), milliseconds(90'000));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(240'000))).empty());
  const auto late = of<KillWorker>(gang.on_tick(milliseconds(240'001)));
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].worker, 2U);
  EXPECT_EQ(late[0].why, "it did not pause within 240 s");
}

TEST(Gang, GivesAFirstMicroBatchItsOwnLimit) {
  Gang gang(options(4, 1));
  wait_for_the_second(gang);
  gang.on_pausing(2, gang.generation(), milliseconds(0));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(600'000))).empty());
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(600'001))).size(), 1U);
}

TEST(Gang, GivesNobodyMoreThanTheLongestPause) {
  Gang gang(options(4, 1));
  wait_for_the_second(gang);
  gang.on_pausing(2, gang.generation(), milliseconds::max());
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(3'600'000))).empty());
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(3'600'001))).size(), 1U);
}

TEST(Gang, GivesMoreTimeForThePauseItWasAskedForOnly) {
  Gang gang(options(4, 1));
  wait_for_the_second(gang);
  gang.on_pausing(2, gang.generation() - 1, milliseconds(90'000));
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(60'001))).size(), 1U);
}

TEST(Gang, LetsALeavingWorkerEndALongMicroBatchFirst) {
  Gang gang(options(4, 1));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, false}}, milliseconds(1));
  gang.on_pausing(1, gang.generation(), milliseconds(300'000));
  gang.on_paused(2, gang.generation(), 5, milliseconds(1));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(640'000))).empty());
  EXPECT_EQ(of<RecordGeneration>(gang.on_paused(1, gang.generation(), 6, milliseconds(640'001))).size(), 1U);
}

TEST(Gang, TakesATrainingGangBackAsItIs) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1, 2};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::training, 5, 77}, milliseconds(0));
  EXPECT_FALSE(gang.is_training());
  const auto actions = gang.on_hello(2, {WorkerPhase::training, 5, 77}, milliseconds(0));
  EXPECT_TRUE(gang.is_training());
  EXPECT_TRUE(of<PauseWorker>(actions).empty());
}

TEST(Gang, BeginsANewGenerationWhenAMemberWasLostWithTheOldHead) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1, 2};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::ready, 5, 77}, milliseconds(0));
  const auto actions = gang.set_leases({{1, false}}, milliseconds(1));
  ASSERT_EQ(of<PauseWorker>(actions).size(), 1U);
  EXPECT_EQ(of<PauseWorker>(actions)[0].generation, 6U);
}

TEST(Gang, BeginsANewGenerationWhenAServerWasLostWithTheOldHead) {
  auto recovering = options(4, 1);
  recovering.servers = ServerRules{1, 2, true};
  recovering.generation = 5;
  recovering.members = {1};
  recovering.server_members = {8, 9};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1}, {9, false, scheduler::Role::server}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::training, 5, 77}, milliseconds(0));
  const auto actions = gang.on_hello(9, {WorkerPhase::training, 5, 0}, milliseconds(0));
  EXPECT_FALSE(gang.is_training()) << "the workers wait for a server that is gone";
  EXPECT_EQ(of<PauseWorker>(actions).size(), 2U);
}

TEST(Gang, NeverUsesAGenerationThatAWorkerHasObeyed) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}}, milliseconds(0));
  const auto actions = gang.on_hello(1, {WorkerPhase::ready, 9, 3}, milliseconds(0));
  ASSERT_EQ(of<PauseWorker>(actions).size(), 1U);
  EXPECT_EQ(of<PauseWorker>(actions)[0].generation, 10U);
}

TEST(Gang, BeginsAgainWhenAWorkerObeyedAnEarlierHeadAfterItsHello) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::training, 5, 3}, milliseconds(0));
  ASSERT_TRUE(gang.is_training());
  const auto actions = gang.on_paused(1, 6, 4, milliseconds(1));
  ASSERT_EQ(of<PauseWorker>(actions).size(), 1U);
  EXPECT_EQ(of<PauseWorker>(actions)[0].generation, 7U);
}

TEST(Gang, GivesUpWorkersThatANewHeadNeverHearsOf) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1, 2};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  gang.on_hello(1, {WorkerPhase::ready, 5, 3}, milliseconds(0));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(19'999))).empty());
  const auto actions = gang.on_tick(milliseconds(20'000));
  ASSERT_EQ(of<KillWorker>(actions).size(), 1U);
  EXPECT_EQ(of<KillWorker>(actions)[0].worker, 2U);
  EXPECT_EQ(of<PauseWorker>(actions).size(), 1U);
}

TEST(Gang, KillsALeavingWorkerThatNeverComesUp) {
  Gang gang(options(4, 1));
  gang.set_leases({{1, true}, {2, false}}, milliseconds(0));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(239'999))).empty());
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(240'000))).size(), 1U);
}

/// Lets the only worker get stuck without a step, and forms the next generation; the actions of the report.
GangActions get_stuck(Gang& gang, milliseconds& now) {
  auto actions = gang.on_stuck(1, gang.generation(), 0, "out of memory", now);
  if (!of<FailJob>(actions).empty()) return actions;
  now += milliseconds(40'000);
  gang.on_tick(now);
  gang.on_paused(1, gang.generation(), 0, now);
  gang.on_recorded(gang.generation(), now);
  gang.on_joined(1, gang.generation(), now);
  EXPECT_TRUE(gang.is_training());
  return actions;
}

TEST(Gang, FailsAJobThatGetsStuckAgainAndAgain) {
  Gang gang(options(4, 1));
  form(gang, 1);
  milliseconds now(1);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(of<FailJob>(get_stuck(gang, now)).empty());
  const auto failed = of<FailJob>(get_stuck(gang, now));
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].why, "out of memory");
}

TEST(Gang, WaitsLongerBeforeEachFruitlessTry) {
  Gang gang(options(4, 1));
  form(gang, 1);
  milliseconds now(1);
  get_stuck(gang, now);
  EXPECT_TRUE(of<PauseWorker>(gang.on_stuck(1, gang.generation(), 0, "", now)).empty());
  EXPECT_TRUE(of<PauseWorker>(gang.on_tick(now + milliseconds(999))).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_tick(now + milliseconds(1000))).size(), 1U);
}

TEST(Gang, DoesNotBlameAJobForTheWorkersItLoses) {
  Gang gang(options(4, 1));
  form(gang, 2);
  for (std::uint64_t lost = 2; lost < 40; ++lost) {
    const milliseconds now(lost);
    EXPECT_TRUE(of<FailJob>(gang.on_stuck(1, gang.generation(), 0, "a member was lost", now)).empty());
    gang.on_lost(lost, now);
    gang.set_leases({{1, false}, {lost + 1, false}}, now);
    gang.on_hello(lost + 1, kReady, now);
    gang.on_paused(1, gang.generation(), 0, now);
    gang.on_paused(lost + 1, gang.generation(), 0, now);
    gang.on_recorded(gang.generation(), now);
    gang.on_joined(1, gang.generation(), now);
    gang.on_joined(lost + 1, gang.generation(), now);
    ASSERT_TRUE(gang.is_training());
  }
}

/// Two workers (1, 2) and two servers (8, 9) that hold two ranges each.
Gang form_with_servers() {
  auto chosen = options(2, 1);
  chosen.servers = ServerRules{2, 2, true};
  Gang gang(chosen);
  gang.set_leases({{1}, {2}, {8, false, scheduler::Role::server}, {9, false, scheduler::Role::server}},
                  milliseconds(0));
  for (std::uint64_t id : {1, 2, 8}) EXPECT_TRUE(gang.on_hello(id, kReady, milliseconds(0)).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_hello(9, kReady, milliseconds(0))).size(), 4U);
  for (std::uint64_t id : {1, 2, 8, 9}) gang.on_paused(id, gang.generation(), 0, milliseconds(0));
  const auto actions = gang.on_recorded(gang.generation(), milliseconds(0));
  EXPECT_EQ(of<JoinServer>(actions).size(), 2U);
  const auto joins = of<JoinWorker>(actions);
  EXPECT_EQ(joins.size(), 2U);
  EXPECT_TRUE(joins[0].seed);
  EXPECT_FALSE(joins[1].seed);
  EXPECT_FALSE(joins[0].needs_state);
  for (std::uint64_t id : {1, 2, 8}) gang.on_joined(id, gang.generation(), milliseconds(0));
  EXPECT_FALSE(gang.is_training());
  EXPECT_EQ(of<StartWorker>(gang.on_joined(9, gang.generation(), milliseconds(0))).size(), 2U);
  EXPECT_TRUE(gang.is_training());
  return gang;
}

TEST(Gang, TakesItsStateFromTheServersThatAreLeft) {
  Gang gang = form_with_servers();
  EXPECT_EQ(of<PauseWorker>(gang.on_lost(8, milliseconds(1))).size(), 3U);
  gang.on_paused(1, gang.generation(), 30, milliseconds(1));
  gang.on_paused(2, gang.generation(), 31, milliseconds(1));
  const auto paused = gang.on_paused(9, gang.generation(), 0, milliseconds(1), {{0, 31, 31}, {1, 30, 31}});
  ASSERT_EQ(of<RecordGeneration>(paused).size(), 1U);
  EXPECT_EQ(of<RecordGeneration>(paused)[0].step, 31U);
  const auto actions = gang.on_recorded(gang.generation(), milliseconds(1));
  const auto servers = of<JoinServer>(actions);
  ASSERT_EQ(servers.size(), 1U);
  EXPECT_EQ(servers[0].plan.step, 31U);
  EXPECT_FALSE(servers[0].plan.fresh);
  for (const auto& join : of<JoinWorker>(actions)) {
    EXPECT_FALSE(join.needs_state) << "workers have it from the servers";
    EXPECT_FALSE(join.seed);
    EXPECT_EQ(join.primaries, (std::vector<std::uint64_t>{9, 9}));
  }
}

TEST(Gang, ReadsTheCheckpointWhenNoServerIsLeft) {
  Gang gang = form_with_servers();
  gang.set_checkpoint(20);
  gang.on_lost(8, milliseconds(1));
  gang.on_lost(9, milliseconds(1));
  gang.set_leases({{1}, {2}, {10, false, scheduler::Role::server}}, milliseconds(2));
  gang.on_paused(1, gang.generation(), 30, milliseconds(2));
  gang.on_paused(2, gang.generation(), 30, milliseconds(2));
  EXPECT_FALSE(of<PauseWorker>(gang.on_hello(10, kReady, milliseconds(3))).empty());
  for (std::uint64_t id : {1, 2, 10}) gang.on_paused(id, gang.generation(), 30, milliseconds(3));
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(3)));
  ASSERT_EQ(joins.size(), 2U);
  EXPECT_EQ(joins[0].step, 20U);
  EXPECT_TRUE(joins[0].seed);
  EXPECT_TRUE(joins[0].needs_state);
  EXPECT_FALSE(joins[1].needs_state);
}

TEST(Gang, LetsWorkersLeaveAtOnceThatHaveTheirStateOnServers) {
  Gang gang = form_with_servers();
  const auto actions = gang.set_leases(
      {{1, true}, {2, true}, {8, false, scheduler::Role::server}, {9, false, scheduler::Role::server}},
      milliseconds(1));
  EXPECT_EQ(of<StopWorker>(actions).size(), 2U);
}

TEST(Gang, EndsOnceWhenItsLastCheckpointIsDurable) {
  Gang gang(options(2, 1));
  form(gang, 2);
  EXPECT_EQ(of<FinishJob>(gang.on_finished(1, gang.generation(), 50)).size(), 1U);
  EXPECT_TRUE(gang.on_finished(1, gang.generation(), 50).empty());
  EXPECT_TRUE(gang.on_lost(2, milliseconds(1)).empty());
}

}  // namespace
}  // namespace ds::job
