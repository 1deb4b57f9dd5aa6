#include "scheduler/ledger/ledger.hpp"

#include <gtest/gtest.h>

#include <random>

namespace ds::scheduler {
namespace {

constexpr const char* kJobText = R"(
version: 1
kind: train
name: intents
workers: {min: 1, max: 4}
model: {zoo: text_classifier}
data:
  train: {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
until: {epochs: 2}
)";

Event event(Event::Body body, std::int64_t at_ms = 1) {
  return {at_ms, "test", "because", std::move(body)};
}

JobSubmitted submitted(const std::string& job, const std::string& key = {}) {
  return {job, key, "job.yaml", "/data", kJobText};
}

Ledger with_job(const std::string& job = "intents-1") {
  Ledger ledger;
  EXPECT_TRUE(ledger.apply(event(submitted(job, "key-" + job), 1000)));
  return ledger;
}

TEST(Ledger, KnowsASubmittedJobByIdNameAndKey) {
  const auto ledger = with_job();
  ASSERT_NE(ledger.find("intents-1"), nullptr);
  EXPECT_EQ(ledger.find("intents-1")->spec->data.train.paths, std::vector<std::string>{"/data/train.csv"});
  EXPECT_EQ(ledger.find("intents-1")->submitted_ms, 1000);
  EXPECT_EQ(ledger.match("intents").size(), 1U);
  EXPECT_EQ(ledger.find_by_key("key-intents-1"), ledger.find("intents-1"));
  EXPECT_EQ(ledger.find_by_key("other"), nullptr);
}

TEST(Ledger, TakesAnIdempotencyKeyOnce) {
  auto ledger = with_job("intents-1");
  EXPECT_FALSE(ledger.apply(event(submitted("intents-2", "key-intents-1"))));
  EXPECT_EQ(ledger.find("intents-2"), nullptr);
}

TEST(Ledger, NeverChangesAnEndState) {
  for (const auto end : {JobState::succeeded, JobState::failed, JobState::cancelled}) {
    auto ledger = with_job();
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::starting, ""})));
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", end, "over"}, 77)));
    EXPECT_EQ(ledger.find("intents-1")->ended_ms, 77);
    for (const auto next : {JobState::queued, JobState::running, JobState::succeeded, JobState::failed}) {
      EXPECT_FALSE(ledger.apply(event(JobStateChanged{"intents-1", next, "again"})));
    }
    EXPECT_EQ(ledger.find("intents-1")->state, end);
  }
}

TEST(Ledger, GrantsNothingToAJobThatIsToBeCancelled) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(CancelRequested{"intents-1"})));
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  EXPECT_TRUE(ledger.demands(0).empty());
}

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

TEST(Ledger, TellsWhichJobsHaveChangedAndThoseThatDependOnThem) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(submitted("a"))));
  auto job = submitted("b");
  job.depends_on = {"a"};
  ASSERT_TRUE(ledger.apply(event(job)));
  using Names = std::set<std::string>;
  EXPECT_EQ(ledger.take_changed(), (Names{"a", "b"}));
  EXPECT_EQ(ledger.take_changed(), Names{});
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "b", "node-1", 1, 0}, 1'000)));
  EXPECT_EQ(ledger.take_changed(), Names{"b"});
  EXPECT_EQ(ledger.next_change_ms(*ledger.find("b"), 2'000), 61'000) << "it is young until then";
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 2'000)));
  EXPECT_EQ(ledger.take_changed(), Names{"b"}) << "of a lease that is gone";
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"a", JobState::failed, ""})));
  EXPECT_EQ(ledger.take_changed(), (Names{"a", "b"}));
  EXPECT_EQ(ledger.next_change_ms(*ledger.find("a"), 2'000), 0);
  EXPECT_FALSE(ledger.apply(event(CancelRequested{"a"})));
  EXPECT_EQ(ledger.take_changed(), Names{}) << "nothing came of it";
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.take_changed(), Names{"b"}) << "all that have not ended";
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
  EXPECT_EQ(ledger.find("a")->run_ms(99'000), 0);                // the clock was set back
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{2}, 104'000)));  // preempted, or paused
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 104'500)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{2}, 104'500)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.find("a")->run_ms(200'000), 4'000);
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
    EXPECT_EQ(job.restarts, 1U);
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

TEST(Ledger, UsesNoWorkerNumberTwice) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{5, "intents-1", "node-1", 1, 0})));
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{5, "intents-1", "node-2", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{5})));
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{5, "intents-1", "node-1", 1, 0})));
  EXPECT_EQ(ledger.next_worker(), 6U);
}

TEST(Ledger, KeepsALeaseUntilItsProcessIsGone) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1})));
  EXPECT_FALSE(ledger.apply(event(LeaseReleasing{1})));
  ASSERT_EQ(ledger.leases_on("node-1").size(), 1U);
  EXPECT_TRUE(ledger.leases_on("node-1")[0].releasing);
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1})));
  EXPECT_TRUE(ledger.leases().empty());
}

TEST(Ledger, RemembersWhoIsToBeKilledAndWhoLeavesByItself) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_FALSE(ledger.leases().at(1).at_once);
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1, true})));  // it took too long
  EXPECT_FALSE(ledger.apply(event(LeaseReleasing{1})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_TRUE(ledger.leases().at(1).at_once);
  EXPECT_EQ(ledger.find("intents-1")->workers, 0U);
}

TEST(Ledger, RefusesAGenerationThatIsNotNewer) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 3, {1, 2}, 10})));
  EXPECT_FALSE(ledger.apply(event(GenerationFormed{"intents-1", 3, {1}, 20})));
  EXPECT_EQ(ledger.find("intents-1")->members, (std::vector<std::uint64_t>{1, 2}));
}

TEST(Ledger, ForgivesCrashesOnceStepsAreCommitted) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 2, 500})));
  EXPECT_EQ(ledger.find("intents-1")->crashes_in_a_row, 2U);
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 1, {1}, 0})));
  EXPECT_EQ(ledger.find("intents-1")->crashes_in_a_row, 2U);
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 2, {1}, 7})));
  EXPECT_EQ(ledger.find("intents-1")->crashes_in_a_row, 0U);
  EXPECT_EQ(ledger.find("intents-1")->restarts, 1U);
}

TEST(Ledger, ForgivesCrashesOnceACheckpointIsCommittedEvenAfterItsEvaluation) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 2, 500})));
  ASSERT_TRUE(ledger.apply(event(EvaluationRecorded{"intents-1", 10, 0.5, {{"accuracy", 0.9}}, 0.1})));
  EXPECT_EQ(ledger.find("intents-1")->crashes_in_a_row, 0U);
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 500})));
  ASSERT_TRUE(ledger.apply(event(CheckpointCommitted{"intents-1", 10})));
  EXPECT_EQ(ledger.find("intents-1")->crashes_in_a_row, 0U);
}

TEST(Ledger, HoldsAJobThatBacksOff) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 500})));
  EXPECT_TRUE(ledger.demands(499).at(0).held);
  EXPECT_FALSE(ledger.demands(500).at(0).held);
}

TEST(Ledger, CallsAGangYoungForAMinuteFromItsLatestStart) {
  auto ledger = with_job();
  EXPECT_FALSE(ledger.demands(0).at(0).is_young);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0}, 100'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "node-1", 1, 0}, 150'000)));
  EXPECT_TRUE(ledger.demands(159'999).at(0).is_young);
  EXPECT_FALSE(ledger.demands(160'000).at(0).is_young);
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1}, 170'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{2}, 170'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "intents-1", "node-1", 1, 0}, 200'000)));
  EXPECT_TRUE(ledger.demands(259'999).at(0).is_young);
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_TRUE(ledger.demands(259'999).at(0).is_young);
  EXPECT_FALSE(ledger.demands(260'000).at(0).is_young);
}

TEST(Ledger, AveragesWhatAQueueUsedWithAHalfLifeOfAnHour) {
  auto ledger = with_job();
  constexpr std::int64_t kHour = 3'600'000;
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 4, 0}, 10 * kHour)));
  EXPECT_EQ(ledger.past_use(10 * kHour).at(0).slots, 0);
  EXPECT_DOUBLE_EQ(ledger.past_use(11 * kHour).at(0).slots, 2);
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1}, 11 * kHour)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 12 * kHour)));
  EXPECT_DOUBLE_EQ(ledger.past_use(12 * kHour).at(0).slots, 3);
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_DOUBLE_EQ(ledger.past_use(14 * kHour).at(0).slots, 0.75);
  EXPECT_EQ(ledger.past_use(14 * kHour).at(0).tenant, "default");
}

TEST(Ledger, RecordsAnEvaluationOnce) {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(EvaluationRecorded{"intents-1", 10, 0.5, {{"accuracy", 0.9}}, 0.1})));
  EXPECT_FALSE(ledger.apply(event(EvaluationRecorded{"intents-1", 10, 0.5, {{"accuracy", 0.9}}, 0.1})));
  EXPECT_EQ(ledger.find("intents-1")->evaluations.size(), 1U);
}

TEST(Ledger, LetsTheNewestCheckpointNeverGetOlder) {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(CheckpointCommitted{"intents-1", 200})));
  EXPECT_FALSE(ledger.apply(event(CheckpointCommitted{"intents-1", 100})));
  EXPECT_EQ(ledger.find("intents-1")->checkpoint_step, 200U);
}

TEST(Ledger, KnowsWhichRanksOfACommandAreThroughUntilTheNextGeneration) {
  Ledger ledger;
  ASSERT_TRUE(
      ledger.apply(event(JobSubmitted{"a", "", "a.yaml", "/", "kind: command\nrun: x\nworkers: 2\n"})));
  EXPECT_FALSE(ledger.apply(event(RankFinished{"a", 1}))) << "it is no member";
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"a", 1, {1, 2}, 0})));
  ASSERT_TRUE(ledger.apply(event(RankFinished{"a", 1})));
  EXPECT_FALSE(ledger.apply(event(RankFinished{"a", 1})));
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("a")->finished, std::vector<std::uint64_t>{1});
  EXPECT_EQ(restored->find("a")->spec->command->script, "x");
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"a", 2, {1, 2}, 0})));
  EXPECT_TRUE(ledger.find("a")->finished.empty());
}

TEST(Event, ComesBackFromItsText) {
  const std::vector<Event::Body> bodies{
      submitted("a", "k"),
      JobSubmitted{"a", "", "f", "/d", "text", {"b-1", "c-2"}},
      LeaseGranted{1, "a", "n", 2, 3, Role::server},
      LeaseReleasing{4, true},
      LeaseEnded{5},
      GenerationFormed{"a", 6, {7, 8}, 9, {10}},
      JobStateChanged{"a", JobState::resizing, "why \"so\"\n"},
      CancelRequested{"a"},
      JobSized{"a", 10, 11},
      EvaluationRecorded{"a", 12, 0.1, {{"accuracy", 1.0 / 3.0}}, 1e-300},
      CheckpointCommitted{"a", 13},
      WorkerCrashed{"a", 14, 15, 16, "node-1"},
      PauseRequested{"a"},
      ResumeRequested{"a"},
      NodeDrained{"n", "a fan is loud"},
      NodeUndrained{"n"},
      TimeLimitReached{"a"},
      JobRetried{"a"},
      PriorityChanged{"a", 17},
      WorkersScaled{"a", 2, 3},
      NodeQuarantined{"n", "workers crash"},
      QuarantineLifted{"n"},
      RankFinished{"a", 18},
  };
  ASSERT_EQ(bodies.size(), 1 + std::variant_size_v<Event::Body>);
  for (const auto& body : bodies) {
    const auto original = event(body, 1234567890123);
    EXPECT_EQ(event_from(to_text(original)), original) << to_text(original);
  }
}

TEST(Event, OfALeaseWithoutARoleIsAWorkers) {
  const auto event = event_from(
      R"({"at":1,"by":"","why":"","type":"lease_granted","fields":{"worker":1,"job":"a","node":"n","slots":2,"memory_bytes":3}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<LeaseGranted>(event->body), (LeaseGranted{1, "a", "n", 2, 3, Role::worker}));
}

TEST(Event, RefusesWhatItDidNotWrite) {
  for (
      const char* text :
      {"", "{}", "[]", "nonsense", R"({"at":1,"by":"","why":"","type":"other","fields":{}})",
       R"({"at":1,"by":"","why":"","type":"job_state_changed","fields":{"job":"a","reason":"","state":"DONE"}})",
       R"({"at":1,"by":"","why":"","type":"lease_ended","fields":{}})"}) {
    EXPECT_EQ(event_from(text), std::nullopt) << text;
  }
}

/// A random event, sensible or not.
Event random_event(std::mt19937_64& random) {
  const auto job = "job-" + std::to_string(random() % 4);
  const std::uint64_t number = random() % 12;
  switch (random() % 22) {
    case 0:
      return event(submitted(job, "key-" + std::to_string(random() % 5)));
    case 1:
      return event(LeaseGranted{number, job, "node-1", 1, 0, kRoles[random() % kRoles.size()]});
    case 2:
      return event(LeaseReleasing{number, random() % 2 == 0});
    case 3:
      return event(LeaseEnded{number});
    case 4:
      return event(GenerationFormed{job, number, {number}, number, {number}});
    case 5:
      return event(JobStateChanged{job, static_cast<JobState>(random() % 9), "r"});
    case 6:
      return random() % 8 == 0 ? event(CancelRequested{job}) : event(LeaseEnded{number});
    case 7:
      return event(JobSized{job, 10, 5});
    case 8:
      return event(EvaluationRecorded{job, number, 1, {{"accuracy", 0.5}}, 0.25});
    case 9:
      return event(CheckpointCommitted{job, number});
    case 10:
      return event(PauseRequested{job});
    case 11:
      return event(ResumeRequested{job});
    case 12:
      return event(NodeDrained{"node-" + std::to_string(number % 3), "why"});
    case 19:
      return event(NodeQuarantined{"node-" + std::to_string(number % 3), "why"});
    case 21:
      return event(QuarantineLifted{"node-" + std::to_string(number % 3)});
    case 20:
      return event(WorkerCrashed{job, number, 1, 9, "node-" + std::to_string(number % 3)});
    case 16:
      return event(JobRetried{job});
    case 17:
      return event(PriorityChanged{job, static_cast<std::uint32_t>(number)});
    case 18:
      return event(WorkersScaled{job, static_cast<std::uint32_t>(number % 4),
                                 static_cast<std::uint32_t>(random() % 6)});
    case 15:
      return event(TimeLimitReached{job});
    case 13:
      return event(NodeUndrained{"node-" + std::to_string(number % 3)});
    default:
      return event(WorkerCrashed{job, number, 1, 9});
  }
}

TEST(Ledger, IsTheSameAfterAReplayAndAfterASnapshot) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Ledger ledger, replayed;
    for (int i = 0; i < 200; ++i) {
      const auto one = random_event(random);
      const auto before = ledger.snapshot();
      if (ledger.apply(one)) {
        ASSERT_TRUE(replayed.apply(*event_from(to_text(one))));
      } else {
        ASSERT_EQ(ledger.snapshot(), before) << "a refused event changed something: " << to_text(one);
      }
      if (i == 100) {
        auto restored = Ledger::restore(ledger.snapshot());
        ASSERT_TRUE(restored);
        replayed = *restored;
      }
    }
    ASSERT_EQ(replayed.snapshot(), ledger.snapshot());
  }
}

}  // namespace
}  // namespace ds::scheduler
