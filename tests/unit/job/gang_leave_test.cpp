#include <algorithm>

#include "tests/unit/job/gang_steps.hpp"

namespace ds::job {
namespace {

TEST(Gang, GoesOnWithAsManyWorkersAsItsOwnerWantsLater) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_min_workers(1);
  auto actions = gang.set_leases({{1, false}, {2, true}}, milliseconds(1));
  EXPECT_EQ(of<PauseWorker>(actions).size(), 2U);
  gang.on_paused(1, gang.generation(), 12, milliseconds(1));
  actions = gang.on_paused(2, gang.generation(), 12, milliseconds(1));
  ASSERT_EQ(of<RecordGeneration>(actions).size(), 1U);
  EXPECT_EQ(of<RecordGeneration>(actions)[0].members, std::vector<std::uint64_t>{1});
}

TEST(Gang, SavesTheNewestStateBeforeAllItsWorkersLeave) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_checkpoint(10);
  auto actions = gang.set_leases({{1, true}, {2, true}}, milliseconds(1));
  EXPECT_EQ(of<PauseWorker>(actions).size(), 2U);
  EXPECT_TRUE(of<StopWorker>(actions).empty());
  EXPECT_TRUE(of<SaveState>(gang.on_paused(1, gang.generation(), 12, milliseconds(1))).empty());
  actions = gang.on_paused(2, gang.generation(), 13, milliseconds(1));
  ASSERT_EQ(of<SaveState>(actions).size(), 1U);
  EXPECT_EQ(of<SaveState>(actions)[0].worker, 2U);
  EXPECT_EQ(of<SaveState>(actions)[0].step, 13U);
  EXPECT_TRUE(of<StopWorker>(actions).empty());
  gang.set_checkpoint(13);
  EXPECT_EQ(of<StopWorker>(gang.on_saved(gang.generation(), milliseconds(2))).size(), 2U);
}

TEST(Gang, SavesNothingThatIsACheckpointAlreadyBeforeAllItsWorkersLeave) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_checkpoint(12);
  gang.set_leases({{1, true}, {2, true}}, milliseconds(1));
  gang.on_paused(1, gang.generation(), 12, milliseconds(1));
  const auto actions = gang.on_paused(2, gang.generation(), 12, milliseconds(1));
  EXPECT_TRUE(of<SaveState>(actions).empty());
  EXPECT_EQ(of<StopWorker>(actions).size(), 2U);
}

TEST(Gang, LetsAllItsWorkersLeaveThoughTheirStateIsNotSavedInTime) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, true}}, milliseconds(1));
  gang.on_paused(1, gang.generation(), 12, milliseconds(1));
  EXPECT_TRUE(of<SaveState>(gang.on_tick(milliseconds(60'000))).empty());
  const auto saves = of<SaveState>(gang.on_tick(milliseconds(60'001)));
  ASSERT_EQ(saves.size(), 1U) << "worker 2 does not pause; what worker 1 holds is saved";
  EXPECT_EQ(saves[0].worker, 1U);
  EXPECT_EQ(saves[0].step, 12U);
  EXPECT_TRUE(of<StopWorker>(gang.on_tick(milliseconds(120'000))).empty());
  EXPECT_EQ(of<StopWorker>(gang.on_tick(milliseconds(120'001))).size(), 2U);
}

TEST(Gang, SavesTheStateOfTheSurvivorWhenAnotherIsLostWhileAllLeave) {
  Gang gang(options(4, 2));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, true}}, milliseconds(1));
  gang.on_paused(1, gang.generation(), 12, milliseconds(1));
  const auto actions = gang.on_lost(2, milliseconds(2));
  ASSERT_EQ(of<SaveState>(actions).size(), 1U);
  EXPECT_EQ(of<SaveState>(actions)[0].worker, 1U);
}

TEST(Gang, FormsAgainFromWhatWasSavedThoughTheOldWorkersStillLeave) {
  Gang gang(options(4, 1));
  form(gang, 1);
  gang.set_leases({{1, true}}, milliseconds(1));
  gang.on_paused(1, gang.generation(), 30, milliseconds(1));
  const auto saving = gang.generation();
  gang.set_leases({{1, true}, {2, false}}, milliseconds(2));
  EXPECT_TRUE(of<PauseWorker>(gang.on_hello(2, kReady, milliseconds(2))).empty());
  gang.set_checkpoint(30);
  const auto actions = gang.on_saved(saving, milliseconds(3));
  ASSERT_EQ(of<StopWorker>(actions).size(), 1U);
  EXPECT_EQ(of<StopWorker>(actions)[0].worker, 1U);
  ASSERT_EQ(of<PauseWorker>(actions).size(), 1U);
  gang.on_paused(2, gang.generation(), 0, milliseconds(3));
  const auto joins = of<JoinWorker>(gang.on_recorded(gang.generation(), milliseconds(3)));
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].step, 30U);
  EXPECT_EQ(joins[0].source, 0U);
}

TEST(Gang, SavesWhatAnotherHoldsWhenTheFirstCannotBeSaved) {
  Gang gang(options(4, 1));
  form(gang, 2);
  gang.set_leases({{1, true}, {2, true}}, milliseconds(1));
  gang.on_paused(1, gang.generation(), 7, milliseconds(2));
  const auto first = of<SaveState>(gang.on_paused(2, gang.generation(), 7, milliseconds(2)));
  ASSERT_EQ(first.size(), 1U);
  const auto second = of<SaveState>(gang.on_not_saved(first[0].worker, gang.generation(), milliseconds(3)));
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].worker, first[0].worker);
  EXPECT_EQ(second[0].step, 7U);
  EXPECT_EQ(of<StopWorker>(gang.on_not_saved(second[0].worker, gang.generation(), milliseconds(4))).size(),
            2U);
}

TEST(Gang, WaitsForALongStepBeforeAllLeave) {
  Gang gang(options(4, 1));
  form(gang, 1);
  gang.set_leases({{1, true}}, milliseconds(1));
  gang.on_pausing(1, gang.generation(), milliseconds(200'000));
  EXPECT_TRUE(of<StopWorker>(gang.on_tick(milliseconds(400'000))).empty());
  EXPECT_EQ(of<SaveState>(gang.on_paused(1, gang.generation(), 1, milliseconds(400'001))).size(), 1U);
  EXPECT_EQ(of<StopWorker>(gang.on_saved(gang.generation(), milliseconds(400'002))).size(), 1U);
}

}  // namespace
}  // namespace ds::job
