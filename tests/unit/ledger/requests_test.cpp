// What owners and operators ask for, and what a job waits for before it starts.
#include "scheduler/ledger/ledger.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(Ledger, GrantsNothingToAPausedJobUntilItIsResumed) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::starting, ""})));
  ASSERT_TRUE(ledger.apply(event(PauseRequested{"intents-1"})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::paused, "paused"})));
  EXPECT_FALSE(ledger.apply(event(PauseRequested{"intents-1"})));
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{2, "intents-1", "node-1", 1, 0})));
  // What workers do while they leave does not make it run again.
  for (const auto state : {JobState::starting, JobState::running, JobState::resizing, JobState::preempted})
    EXPECT_FALSE(ledger.apply(event(JobStateChanged{"intents-1", state, ""}))) << to_string(state);
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_TRUE(ledger.demands(0).empty());
  const auto holds = ledger.holds(*ledger.find("intents-1"), 0);
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds[0].code, "held");
  EXPECT_NE(holds[0].text.find("ds-submit resume intents-1"), std::string::npos) << holds[0].text;

  ASSERT_TRUE(ledger.apply(event(ResumeRequested{"intents-1"})));
  EXPECT_FALSE(ledger.apply(event(ResumeRequested{"intents-1"})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::queued, "resumed"})));
  EXPECT_EQ(ledger.demands(0).size(), 1U);
  EXPECT_TRUE(ledger.holds(*ledger.find("intents-1"), 0).empty());
  EXPECT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "node-1", 1, 0})));
}

TEST(Ledger, LetsAJobSucceedWhoseLastStepWasDoneWhenItWasPaused) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(PauseRequested{"intents-1"})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::paused, ""})));
  EXPECT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::succeeded, "all steps are done"})));
  EXPECT_FALSE(ledger.apply(event(ResumeRequested{"intents-1"})));
  EXPECT_TRUE(ledger.holds(*ledger.find("intents-1"), 0).empty());
}

TEST(Ledger, KeepsANodeDrainedUntilItIsUndrained) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(NodeDrained{"node-1", "new disks"}, 7)));
  EXPECT_FALSE(ledger.apply(event(NodeDrained{"node-1", "again"}, 8)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  ASSERT_EQ(ledger.drained().count("node-1"), 1U);
  EXPECT_EQ(ledger.drained().at("node-1").since_ms, 7);
  EXPECT_EQ(ledger.drained().at("node-1").why, "new disks");
  EXPECT_TRUE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_FALSE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_TRUE(ledger.drained().empty());
}

TEST(Ledger, HoldsAJobUntilItMayBegin) {
  Ledger ledger;
  auto job = submitted("a");
  job.text += "start_after: 90s\n";
  ASSERT_TRUE(ledger.apply(event(job, 10'000)));
  auto timed = submitted("b");
  timed.text += "start_after: 1970-01-01T00:02:00Z\n";
  ASSERT_TRUE(ledger.apply(event(timed, 10'000)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_TRUE(ledger.demands(99'999).empty());
  const auto holds = ledger.holds(*ledger.find("a"), 99'999);
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds[0].code, "begin_time");
  EXPECT_EQ(holds[0].text, "starts at 1970-01-01T00:01:40Z at the earliest, in 1 s");
  EXPECT_EQ(ledger.demands(100'000).size(), 1U);
  EXPECT_TRUE(ledger.holds(*ledger.find("a"), 100'000).empty());
  EXPECT_EQ(ledger.demands(120'000).size(), 2U);
  // Once it has started, a clock that is set back does not stop it.
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"a", JobState::starting, ""}, 100'000)));
  EXPECT_EQ(ledger.demands(0).size(), 1U);
}

TEST(Ledger, HoldsAJobUntilAllThatItDependsOnHaveSucceeded) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(submitted("a"))));
  ASSERT_TRUE(ledger.apply(event(submitted("b"))));
  auto job = submitted("c");
  job.depends_on = {"a", "b"};
  ASSERT_TRUE(ledger.apply(event(job)));
  EXPECT_EQ(ledger.demands(0).size(), 2U);
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"a", JobState::starting, ""})));
  auto holds = ledger.holds(*ledger.find("c"), 0);
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds[0].code, "dependency");
  EXPECT_EQ(holds[0].blocking, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(holds[0].text, "starts when 2 jobs have succeeded, of which a, which is STARTING");
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"a", JobState::succeeded, ""})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  holds = ledger.holds(*ledger.find("c"), 0);
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds[0].text, "starts when job b has succeeded, which is QUEUED");
  EXPECT_FALSE(ledger.broken_dependency(*ledger.find("c")));
  auto failed = ledger;
  ASSERT_TRUE(failed.apply(event(JobStateChanged{"b", JobState::failed, ""})));
  EXPECT_EQ(failed.broken_dependency(*failed.find("c")), "b");
  ASSERT_TRUE(failed.apply(event(JobStateChanged{"c", JobState::cancelled, ""})));
  EXPECT_FALSE(failed.broken_dependency(*failed.find("c")));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"b", JobState::succeeded, ""})));
  ASSERT_EQ(ledger.demands(0).size(), 1U);
  EXPECT_EQ(ledger.demands(0)[0].job, "c");
}

TEST(Ledger, CountsTheTimeWithWorkersAgainstTheLimit) {
  Ledger ledger;
  auto job = submitted("a");
  job.text += "time_limit: 10s\n";
  ASSERT_TRUE(ledger.apply(event(job, 0)));
  EXPECT_FALSE(ledger.is_overdue(*ledger.find("a"), 50'000));  // it only waits
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "a", "node-1", 1, 0}, 100'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "a", "node-1", 1, 0}, 101'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1}, 103'000)));
  EXPECT_EQ(ledger.find("a")->run_ms(103'500), 3'500);
  EXPECT_EQ(ledger.find("a")->attained_slot_s(103'500), 1 + 2 * 2 + 0.5);
  EXPECT_EQ(ledger.find("a")->run_ms(99'000), 0);                // the clock was set back
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{2}, 104'000)));  // preempted, or paused
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 104'500)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{2}, 104'500)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.find("a")->run_ms(200'000), 4'000);
  EXPECT_EQ(ledger.find("a")->attained_slot_s(200'000), 1 + 2 * 2 + 1)
      << "of both workers, while they had slots";
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "a", "node-1", 1, 0}, 300'000)));
  EXPECT_FALSE(ledger.is_overdue(*ledger.find("a"), 305'999));
  EXPECT_EQ(ledger.next_change_ms(*ledger.find("a"), 305'999), 306'000);
  EXPECT_TRUE(ledger.is_overdue(*ledger.find("a"), 306'000));
  ASSERT_TRUE(ledger.apply(event(TimeLimitReached{"a"}, 306'000)));
  EXPECT_FALSE(ledger.apply(event(TimeLimitReached{"a"}, 306'000)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_FALSE(ledger.is_overdue(*ledger.find("a"), 306'000));
  EXPECT_TRUE(ledger.demands(306'000).empty());
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{4, "a", "node-1", 1, 0}, 306'000)));
}

TEST(Ledger, SaysHowLongAJobLastsAndWhenItsGangEndsAtTheLatest) {
  Ledger ledger;
  auto job = submitted("a");
  job.text += "time_limit: 10s\n";
  ASSERT_TRUE(ledger.apply(event(job, 0)));
  ASSERT_TRUE(ledger.apply(event(submitted("endless"), 0)));
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 5'000)->lasts_ms, 10'000);
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 5'000)->ends_ms, 0);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "a", "node-1", 1, 0}, 100'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "endless", "node-1", 1, 0}, 100'000)));
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 103'000)->ends_ms, 110'000);
  EXPECT_EQ(ledger.demand(*ledger.find("endless"), 103'000)->ends_ms, 0);
  EXPECT_EQ(ledger.demand(*ledger.find("endless"), 103'000)->lasts_ms, 0);
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1}, 104'000)));
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 104'000)->lasts_ms, 6'000);
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 104'000)->ends_ms, 0);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "a", "node-1", 1, 0}, 200'000)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.demand(*ledger.find("a"), 201'000)->ends_ms, 206'000);
}

TEST(Ledger, QueuesAJobAgainThatFailedOrWasCancelledWhenItsOwnerWantsIt) {
  for (const auto end : {JobState::failed, JobState::cancelled}) {
    auto ledger = with_job();
    EXPECT_FALSE(ledger.apply(event(JobRetried{"intents-1"})));
    ASSERT_TRUE(ledger.apply(event(CheckpointCommitted{"intents-1", 40})));
    ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 3, 99'000})));
    ASSERT_TRUE(ledger.apply(event(CancelRequested{"intents-1"})));
    ASSERT_TRUE(ledger.apply(event(TimeLimitReached{"intents-1"})));
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", end, "over"}, 77)));
    ASSERT_TRUE(ledger.apply(event(JobRetried{"intents-1"})));
    ledger = Ledger::restore(ledger.snapshot()).value();
    const auto& job = *ledger.find("intents-1");
    EXPECT_EQ(job.state, JobState::queued);
    EXPECT_EQ(job.ended_ms, 0);
    EXPECT_EQ(job.checkpoint_step, 40U);
    EXPECT_EQ(job.crashes_in_a_row, 0U);
    EXPECT_EQ(job.restarts, 0U) << "no restart followed its crash";
    EXPECT_EQ(job.run_ms(1'000'000), 0);
    ASSERT_EQ(ledger.demands(0).size(), 1U);
    EXPECT_FALSE(ledger.demands(0)[0].held);
    EXPECT_TRUE(ledger.apply(event(LeaseGranted{9, "intents-1", "node-1", 1, 0})));
  }
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::succeeded, "done"})));
  EXPECT_FALSE(ledger.apply(event(JobRetried{"intents-1"})));
}

TEST(Ledger, KeepsAChangedPriority) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(PriorityChanged{"intents-1", 801})));
  EXPECT_FALSE(ledger.apply(event(PriorityChanged{"intents-1", 801})));
  EXPECT_FALSE(ledger.apply(event(PriorityChanged{"intents-1", 1'000'001})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.demands(0).at(0).priority, 801U);
}

TEST(Ledger, ScalesAJobUpToTheMaximumOfItsFile) {
  auto ledger = with_job();  // workers: {min: 1, max: 4}
  for (const auto& [min, max] : {std::pair{0U, 2U}, {3U, 2U}, {1U, 5U}, {1U, 4U}})
    EXPECT_FALSE(ledger.apply(event(WorkersScaled{"intents-1", min, max}))) << min << ':' << max;
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"intents-1", 2, 3})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.demands(0).at(0).workers, (WorkerCount{2, 3}));
  EXPECT_EQ(ledger.find("intents-1")->spec->logical_ranks(), 4U);
  EXPECT_TRUE(ledger.apply(event(WorkersScaled{"intents-1", 1, 4})));
  EXPECT_EQ(ledger.demands(0).at(0).workers, (WorkerCount{1, 4}));
}

TEST(Ledger, KnowsWhereProgramsRunWellThatHaveCrashedElsewhere) {
  Ledger ledger;
  auto job = submitted("a");
  job.text = "version: 1\nkind: command\nname: a\nrun: [work]\nworkers: 2\n";
  ASSERT_TRUE(ledger.apply(event(job)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "a", "node-1", 1, 0}, 10)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"a", 1, 1, 0, "node-1"}, 20)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 20)));
  EXPECT_EQ(ledger.early_crashes(), (std::vector<EarlyCrash>{{"node-1", "a", 20, true}}));
  EXPECT_EQ(ledger.demands(20).at(0).shuns, "node-1");
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "a", "node-2", 1, 0}, 100)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "a", "node-3", 1, 0}, 100)));
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"a", 1, {2, 3}, 0, {}}, 100)));
  EXPECT_TRUE(ledger.sound_runs(60'099).empty());
  EXPECT_EQ(ledger.sound_runs(60'100), (std::set<SoundRun>{{"node-2", "a"}, {"node-3", "a"}}));
  ASSERT_TRUE(ledger.apply(event(RankFinished{"a", 2}, 200)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.sound_runs(200), (std::set<SoundRun>{{"node-2", "a"}}));
  EXPECT_EQ(ledger.early_crashes(), (std::vector<EarlyCrash>{{"node-1", "a", 20, true}}));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{3}, 60'100)));  // whatever its exit code
  EXPECT_EQ(ledger.sound_runs(60'100), (std::set<SoundRun>{{"node-2", "a"}, {"node-3", "a"}}));
  ASSERT_TRUE(ledger.apply(event(NodeDrained{"node-1", "new disks"})));
  ASSERT_TRUE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_TRUE(ledger.sound_runs(60'100).empty());
  EXPECT_EQ(ledger.demands(60'100).at(0).shuns, "");
}

/// Else what is wrong with its own model would speak against the node to which packing takes it again.
TEST(Ledger, LetsATrainingJobThatHasCrashedSoonStartElsewhere) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0}, 10)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 0, "node-1"}, 20)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 20)));
  EXPECT_EQ(ledger.demands(20).at(0).shuns, "node-1");
}

TEST(Ledger, KeepsANodeCordonedUntilItIsUndrained) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(NodeCordoned{"node-1"}, 60)));
  EXPECT_FALSE(ledger.apply(event(NodeCordoned{"node-1"}, 61)));
  EXPECT_FALSE(ledger.apply(event(QuarantineLifted{"node-1"}))) << "no policy ends what an operator wants";
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.cordoned().at("node-1").since_ms, 60);
  EXPECT_TRUE(ledger.drained().empty());
  EXPECT_EQ(ledger.history().recent(0).happenings.at(0).what, "cordon");
  ASSERT_TRUE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_TRUE(ledger.cordoned().empty());
}

TEST(Ledger, TellsOnceThatANodeJoinsIsLostAndComesBack) {
  Ledger ledger;
  const auto lost = [](bool is_stopped) { return event(NodeLost{"node-1", is_stopped}, 70); };
  EXPECT_FALSE(ledger.apply(lost(false))) << "it was never there";
  EXPECT_FALSE(ledger.apply(event(NodeJoined{""})));
  ASSERT_TRUE(ledger.apply(event(NodeJoined{"node-1"}, 60)));
  EXPECT_FALSE(ledger.apply(event(NodeJoined{"node-1"}, 61)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.joined(), (NodeMoments{{"node-1", 60}}));
  ASSERT_TRUE(ledger.apply(lost(false)));
  EXPECT_FALSE(ledger.apply(lost(false)));
  EXPECT_TRUE(ledger.joined().empty());
  ledger = Ledger::restore(ledger.snapshot()).value();
  ASSERT_TRUE(ledger.apply(event(NodeJoined{"node-1"}, 80)));
  ASSERT_TRUE(ledger.apply(lost(true)));
  std::vector<std::string> told;
  for (const auto& one : ledger.history().recent(0).happenings) {
    told.push_back(one.what);
    EXPECT_EQ(one.nodes.at(0).first, "node-1");
    EXPECT_EQ(one.by, "test");
  }
  EXPECT_EQ(told, (std::vector<std::string>{"joined", "lost", "back", "stopped"}));
}

TEST(Ledger, RemembersSoManyNodesThatWereLost) {
  Ledger ledger;
  const auto join = [&](int node) {
    ASSERT_TRUE(ledger.apply(event(NodeJoined{"node-" + std::to_string(node)}, 10 + node)));
  };
  const auto lose = [&](int node) {
    ASSERT_TRUE(ledger.apply(event(NodeLost{"node-" + std::to_string(node)}, 10 + node)));
  };
  for (int node = 0; node < 4'097; ++node) {
    join(node);
    lose(node);
  }
  const auto what = [&] { return ledger.history().recent(0).happenings.back().what; };
  join(0);
  EXPECT_EQ(what(), "joined") << "the oldest is not known any more";
  join(1);
  EXPECT_EQ(what(), "back");
}

TEST(Ledger, BlamesNoOtherNodeOnceOneIsUndrained) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 0, "node-1"}, 40)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 2, 2, 0, "node-2"}, 50)));
  ASSERT_TRUE(ledger.apply(event(NodeQuarantined{"node-1", "workers crash"}, 60)));
  ASSERT_TRUE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_TRUE(ledger.early_crashes().empty()) << "it crashed on both, so neither was at fault";
}

TEST(Ledger, RemembersEarlyCrashesUntilTheirNodeIsUndrained) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0}, 33)));
  EXPECT_EQ(ledger.leases().at(1).since_ms, 33);
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 0, "node-1"}, 40)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 2, 2, 0}, 50)));
  ASSERT_TRUE(ledger.apply(event(NodeQuarantined{"node-1", "workers crash"}, 60)));
  EXPECT_FALSE(ledger.apply(event(NodeQuarantined{"node-1", "again"}, 61)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.leases().at(1).since_ms, 33);
  EXPECT_EQ(ledger.early_crashes(), (std::vector<EarlyCrash>{{"node-1", "intents-1", 40}}));
  EXPECT_EQ(ledger.quarantined().at("node-1").why, "workers crash");
  auto lifted = ledger;
  ASSERT_TRUE(lifted.apply(event(QuarantineLifted{"node-1"})));
  EXPECT_FALSE(lifted.apply(event(QuarantineLifted{"node-1"})));
  EXPECT_EQ(lifted.early_crashes().size(), 1U);
  ASSERT_TRUE(ledger.apply(event(NodeUndrained{"node-1"})));
  EXPECT_TRUE(ledger.quarantined().empty());
  EXPECT_TRUE(ledger.early_crashes().empty());
  for (std::int64_t i = 0; i < 1000; ++i)
    ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 0, "node-2"}, i)));
  EXPECT_LE(ledger.early_crashes().size(), 256U);
  EXPECT_EQ(ledger.early_crashes().back().at_ms, 999);
}

}  // namespace
}  // namespace ds::scheduler
