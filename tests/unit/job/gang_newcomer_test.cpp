#include <algorithm>

#include "tests/unit/job/gang_steps.hpp"

namespace ds::job {
namespace {

/// Brings a gang of one to training and to a step, and lets worker 2 come.
void let_a_second_come(Gang& gang) {
  form(gang, 1);
  gang.on_step(gang.generation(), 1, milliseconds(1));
  gang.set_leases({{1, false}, {2, false}}, milliseconds(1));
  gang.on_hello(2, {WorkerPhase::fresh, 0, 0}, milliseconds(1));
}

TEST(Gang, GrowsOnlyAfterAStepInItsGeneration) {
  Gang gang(options(4, 1));
  form(gang, 1);
  gang.set_leases({{1, false}, {2, false}}, milliseconds(1));
  EXPECT_TRUE(of<PauseWorker>(gang.on_hello(2, kReady, milliseconds(1))).empty());
  EXPECT_TRUE(of<PauseWorker>(gang.on_tick(milliseconds(100'000))).empty());
  EXPECT_TRUE(of<PauseWorker>(gang.on_step(gang.generation() - 1, 1, milliseconds(100'000))).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_step(gang.generation(), 1, milliseconds(100'000))).size(), 2U);
}

TEST(Gang, ShrinksWithoutWaitingForAStep) {
  Gang gang(options(4, 1));
  form(gang, 2);
  EXPECT_EQ(of<PauseWorker>(gang.set_leases({{1, false}, {2, true}}, milliseconds(1))).size(), 2U);
}

TEST(Gang, TrainsOnUntilWhoTakesOverFromAllOthersIsReady) {
  Gang gang(options(4, 1));
  form(gang, 1);
  EXPECT_TRUE(of<PauseWorker>(gang.set_leases({{1, true}, {2, false}}, milliseconds(1))).empty());
  EXPECT_TRUE(of<PauseWorker>(gang.on_hello(2, {WorkerPhase::fresh, 0, 0}, milliseconds(2))).empty());
  EXPECT_TRUE(gang.is_training());
  EXPECT_EQ(of<PauseWorker>(gang.on_hello(2, kReady, milliseconds(3))).size(), 2U);
  gang.on_paused(1, gang.generation(), 7, milliseconds(4));
  gang.on_paused(2, gang.generation(), 0, milliseconds(4));
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(5)));
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].worker, 2U);
  EXPECT_EQ(joins[0].source, 1U);
  EXPECT_EQ(joins[0].step, 7U);
  const auto stops = of<StopWorker>(gang.on_joined(2, gang.generation(), milliseconds(6)));
  ASSERT_EQ(stops.size(), 1U);
  EXPECT_EQ(stops[0].worker, 1U);
}

TEST(Gang, StopsAtOnceForWhoTakesOverWhenOneOfThoseThatLeaveIsLost) {
  Gang gang(options(4, 2));
  form(gang, 2);
  EXPECT_TRUE(of<PauseWorker>(gang.set_leases({{1, true}, {2, false}, {3, false}}, milliseconds(1))).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_lost(1, milliseconds(2))).size(), 1U);
}

TEST(Gang, TrainsOnWithThoseThatLeaveWhenWhoTakesOverFailsAndNotForEver) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, false}, {3, false}}, milliseconds(1));
  const auto actions = gang.on_failed(3, "no such file", milliseconds(2));
  ASSERT_EQ(of<KillWorker>(actions).size(), 1U);
  EXPECT_TRUE(of<KillWorker>(actions)[0].dispensable);
  EXPECT_TRUE(of<PauseWorker>(actions).empty());
  EXPECT_TRUE(of<PauseWorker>(gang.set_leases({{1, true}, {2, false}}, milliseconds(3))).empty());
  EXPECT_TRUE(gang.on_tick(milliseconds(300'000)).empty()) << "the next is waited for";
  gang.set_leases({{1, true}, {2, false}, {4, false}}, milliseconds(300'000));
  EXPECT_TRUE(gang.can_do_without(4));
  gang.set_leases({{1, true}, {2, false}}, milliseconds(300'001));  // the head saw its end first
  EXPECT_TRUE(gang.is_training());
  EXPECT_TRUE(gang.on_tick(milliseconds(600'000)).empty());
  EXPECT_EQ(of<PauseWorker>(gang.on_tick(milliseconds(600'001))).size(), 2U) << "the room is waited for";
  for (const auto id : {1, 2}) gang.on_paused(id, gang.generation(), 9, milliseconds(600'002));
  const auto stops = of<StopWorker>(gang.on_tick(milliseconds(780'002)));
  ASSERT_EQ(stops.size(), 1U);
  EXPECT_EQ(stops[0].worker, 1U);
  gang.set_leases({{2, false}, {5, false}}, milliseconds(780'003));
  EXPECT_FALSE(gang.can_do_without(5));
}

TEST(Gang, SavesTheStateOfTheLastOneThatLeavesWhenTheOthersAreLostWhileTheyWait) {
  Gang gang(options(4, 2));
  gang.set_goes_on(true);
  form(gang, 2);
  gang.set_leases({{1, true}, {2, false}, {3, false}}, milliseconds(1));
  gang.on_failed(3, "no such file", milliseconds(2));
  gang.set_leases({{1, true}, {2, false}}, milliseconds(3));
  gang.on_lost(2, milliseconds(4));
  gang.set_leases({{1, true}}, milliseconds(5));
  EXPECT_EQ(of<SaveState>(gang.on_paused(1, gang.generation(), 7, milliseconds(6))).size(), 1U);
}

TEST(Gang, TrainsOnWithThoseThatLeaveWhenWhoTakesOverCannotJoin) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, false}, {3, false}}, milliseconds(1));
  gang.on_hello(3, kReady, milliseconds(2));
  for (const auto id : {1, 2, 3}) gang.on_paused(id, gang.generation(), id == 3 ? 0 : 7, milliseconds(3));
  EXPECT_EQ(of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(4))).size(), 2U);
  EXPECT_TRUE(of<KillWorker>(gang.on_lost(3, milliseconds(5)))[0].dispensable);
  for (const auto id : {1, 2}) gang.on_paused(id, gang.generation(), 7, milliseconds(6));
  EXPECT_EQ(gang.members(), (std::vector<std::uint64_t>{1, 2}));
  gang.on_recorded(gang.generation(), milliseconds(7));
  gang.on_joined(1, gang.generation(), milliseconds(8));
  EXPECT_TRUE(of<StopWorker>(gang.on_joined(2, gang.generation(), milliseconds(8))).empty());
  EXPECT_TRUE(gang.is_training());
  gang.set_leases({{1, true}, {2, false}, {4, false}}, milliseconds(9));
  EXPECT_EQ(of<PauseWorker>(gang.on_hello(4, kReady, milliseconds(10))).size(), 3U);
  for (const auto id : {1, 2, 4}) gang.on_paused(id, gang.generation(), id == 4 ? 0 : 8, milliseconds(11));
  gang.on_recorded(gang.generation(), milliseconds(12));
  gang.on_joined(2, gang.generation(), milliseconds(13));
  const auto stops = of<StopWorker>(gang.on_joined(4, gang.generation(), milliseconds(13)));
  ASSERT_EQ(stops.size(), 1U);
  EXPECT_EQ(stops[0].worker, 1U);
}

TEST(Gang, TheOnlyWorkerTrainsOnWhenWhoTakesOverFailsUnlessTheJobIsStopped) {
  for (const bool goes_on : {true, false}) {
    Gang gang(options(4, 1));
    gang.set_goes_on(true);
    form(gang, 1);
    gang.set_leases({{1, true}, {2, false}}, milliseconds(1));
    EXPECT_TRUE(of<PauseWorker>(gang.on_failed(2, "no such file", milliseconds(2))).empty());
    gang.set_goes_on(goes_on);
    EXPECT_EQ(of<PauseWorker>(gang.set_leases({{1, true}}, milliseconds(3))).empty(), goes_on);
    gang.on_tick(milliseconds(600'001));  // in the end it pauses to be saved
    EXPECT_FALSE(gang.is_training());
  }
}

TEST(Gang, TrainsOnWhenANewcomerFails) {
  Gang gang(options(4, 1));
  let_a_second_come(gang);
  EXPECT_TRUE(gang.can_do_without(2));
  const auto actions = gang.on_failed(2, "no such file", milliseconds(2));
  ASSERT_EQ(actions.size(), 1U);
  const auto kills = of<KillWorker>(actions);
  ASSERT_EQ(kills.size(), 1U);
  EXPECT_EQ(kills[0].worker, 2U);
  EXPECT_EQ(kills[0].why, "no such file");
  EXPECT_TRUE(kills[0].at_fault);
  EXPECT_TRUE(kills[0].dispensable);
  EXPECT_TRUE(gang.is_training());
}

TEST(Gang, CannotDoWithoutThoseItNeedsOrThatHaveTrained) {
  Gang forming(options(4, 1));
  forming.set_leases({{1, false}, {2, false}}, milliseconds(0));
  forming.on_hello(1, kReady, milliseconds(0));
  EXPECT_FALSE(forming.can_do_without(2)) << "nobody has trained yet";
  EXPECT_FALSE(of<KillWorker>(forming.on_failed(2, "no such file", milliseconds(1)))[0].dispensable);

  Gang gang(options(4, 2));
  form(gang, 2);
  EXPECT_FALSE(gang.can_do_without(2)) << "it has trained";
  gang.on_lost(2, milliseconds(1));
  gang.set_leases({{1, false}, {3, false}}, milliseconds(2));
  EXPECT_FALSE(gang.can_do_without(3)) << "one is fewer than its minimum";
}

TEST(Gang, GoesOnWithoutANewcomerThatCannotTakeTheStateOver) {
  Gang gang(options(4, 1));
  let_a_second_come(gang);
  gang.on_hello(2, kReady, milliseconds(1));
  for (int tries = 0;; ++tries) {
    gang.on_paused(1, gang.generation(), 5, milliseconds(1));
    gang.on_paused(2, gang.generation(), 0, milliseconds(1));
    EXPECT_EQ(of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(1))).size(), 2U);
    const auto actions = gang.on_stuck(2, gang.generation(), 0, "out of memory", milliseconds(1));
    EXPECT_EQ(of<PauseWorker>(actions).size(), of<KillWorker>(actions).empty() ? 2U : 1U);
    if (of<KillWorker>(actions).empty()) continue;
    EXPECT_EQ(tries, 1);
    EXPECT_TRUE(of<KillWorker>(actions)[0].dispensable);
    break;
  }
  gang.on_paused(1, gang.generation(), 5, milliseconds(2));
  EXPECT_EQ(of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(2))).size(), 1U);
  gang.on_joined(1, gang.generation(), milliseconds(2));
  EXPECT_TRUE(gang.is_training());
}

TEST(Gang, BlamesANewcomerThatDoesNotJoinInTime) {
  Gang gang(options(4, 1));
  let_a_second_come(gang);
  gang.on_hello(2, kReady, milliseconds(1));
  gang.on_paused(1, gang.generation(), 5, milliseconds(1));
  gang.on_paused(2, gang.generation(), 0, milliseconds(1));
  gang.on_recorded(gang.generation(), milliseconds(1));
  gang.on_joined(1, gang.generation(), milliseconds(1));
  const auto kills = of<KillWorker>(gang.on_tick(milliseconds(180'001)));
  ASSERT_EQ(kills.size(), 1U);
  EXPECT_EQ(kills[0].worker, 2U);
  EXPECT_EQ(kills[0].why, "it did not join within 180 s");
  EXPECT_TRUE(kills[0].at_fault);
  EXPECT_TRUE(kills[0].dispensable);
}

TEST(Gang, GivesALargeStateMoreTimeToTravel) {
  Gang gang(options(4, 1));
  gang.set_state_bytes(10'000'000'000);  // 400 s at the slowest
  let_a_second_come(gang);
  gang.on_hello(2, kReady, milliseconds(1));
  gang.on_paused(1, gang.generation(), 5, milliseconds(1));
  gang.on_paused(2, gang.generation(), 0, milliseconds(1));
  gang.on_recorded(gang.generation(), milliseconds(1));
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(580'000))).empty());
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(580'001))).size(), 2U);
}

TEST(Gang, GivesOneThatComesLateToALongPauseItsTime) {
  Gang gang(options(4, 1));
  let_a_second_come(gang);
  gang.set_leases({{1, false}, {2, false}, {3, false}}, milliseconds(1));
  gang.on_hello(2, kReady, milliseconds(1));
  gang.on_pausing(1, gang.generation(), milliseconds(500'000));
  gang.on_paused(2, gang.generation(), 0, milliseconds(1));
  ASSERT_EQ(of<PauseWorker>(gang.on_hello(3, kReady, milliseconds(200'000))).size(), 1U);
  EXPECT_TRUE(of<KillWorker>(gang.on_tick(milliseconds(259'999))).empty());
  EXPECT_EQ(of<KillWorker>(gang.on_tick(milliseconds(260'000))).size(), 1U);
}

TEST(Gang, KnowsANewcomerWhenANewHeadTakesItOver) {
  auto recovering = options(4, 1);
  recovering.generation = 5;
  recovering.members = {1};
  recovering.recovering = true;
  Gang gang(recovering);
  gang.set_leases({{1, false}, {2, false}}, milliseconds(0));
  gang.on_hello(2, {WorkerPhase::fresh, 0, 0}, milliseconds(0));
  EXPECT_TRUE(gang.can_do_without(2)) << "though worker 1 was not heard of yet";
  EXPECT_FALSE(gang.can_do_without(1));
}

}  // namespace
}  // namespace ds::job
