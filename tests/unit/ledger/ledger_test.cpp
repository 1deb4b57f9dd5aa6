#include "scheduler/ledger/ledger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(Ledger, KnowsASubmittedJobByIdNameAndKey) {
  const auto ledger = with_job();
  ASSERT_NE(ledger.find("intents-1"), nullptr);
  EXPECT_EQ(ledger.find("intents-1")->spec->data.train.paths, std::vector<std::string>{"/data/train.csv"});
  EXPECT_EQ(ledger.find("intents-1")->submitted_ms, 1000);
  EXPECT_EQ(ledger.match("intents").size(), 1U);
  EXPECT_EQ(ledger.find_by_key("key-intents-1"), ledger.find("intents-1"));
  EXPECT_EQ(ledger.find_by_key("other"), nullptr);
}

TEST(Ledger, TakesANameForTheOneJobOfItThatLives) {
  Ledger ledger;
  for (const std::string id : {"intents-1", "intents-2", "intents-3"}) {
    ASSERT_TRUE(ledger.apply(event(submitted(id, "key-" + id))));
    EXPECT_EQ(prefer_living(ledger.match("intents")).size(), id == "intents-1"   ? 1U
                                                             : id == "intents-2" ? 2U
                                                                                 : 3U);
  }
  const auto cancel = [&](const std::string& id) {
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{id, JobState::cancelled, ""})));
  };
  cancel("intents-1");
  EXPECT_EQ(prefer_living(ledger.match("intents")).size(), 3U);
  cancel("intents-3");
  EXPECT_EQ(prefer_living(ledger.match("intents")), std::vector{ledger.find("intents-2")});
  cancel("intents-2");
  EXPECT_EQ(prefer_living(ledger.match("intents")).size(), 3U);
}

TEST(Ledger, DraftsAJobFromWhatWasReadOfItsFileAndKeepsNothingOfIt) {
  Ledger ledger = with_job();
  JobSpec spec = *ledger.find("intents-1")->spec;
  spec.priority = 900;
  auto submission = submitted("draft");
  submission.text = "nobody reads this again";
  const auto before = ledger.snapshot();
  const JobRecord draft = std::as_const(ledger).draft(submission, spec, 5000);
  EXPECT_EQ(draft.id, "draft");
  EXPECT_EQ(draft.priority, 900U);
  EXPECT_EQ(*draft.text, submission.text);
  EXPECT_EQ(draft.submitted_ms, 5000);
  EXPECT_EQ(draft.order, ledger.find("intents-1")->order + 1);
  EXPECT_EQ(ledger.snapshot(), before);
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

constexpr const char* kGpuJob = "kind: command\nrun: x\nresources: {gpu: H200:2}\nworkers: 2\n";

TEST(Ledger, GivesNoGpuTwiceAndEachWorkerAsManyAsItNeeds) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(JobSubmitted{"a", "", "f", "/d", kGpuJob})));
  ASSERT_TRUE(ledger.apply(event(submitted("plain"))));
  const auto grant = [](std::uint64_t worker, std::vector<std::uint32_t> devices,
                        const char* node = "node-1") {
    return event(LeaseGranted{worker, "a", node, 1, 0, Role::worker, std::move(devices)});
  };
  EXPECT_FALSE(ledger.apply(grant(1, {}))) << "none";
  EXPECT_FALSE(ledger.apply(grant(1, {0}))) << "too few";
  EXPECT_FALSE(ledger.apply(grant(1, {3, 3}))) << "one twice";
  EXPECT_FALSE(ledger.apply(event(LeaseGranted{1, "plain", "node-1", 1, 0, Role::worker, {0}})));
  ASSERT_TRUE(ledger.apply(grant(1, {0, 3})));
  EXPECT_FALSE(ledger.apply(grant(2, {1, 3}))) << "another's";
  ASSERT_TRUE(ledger.apply(grant(2, {0, 3}, "node-2"))) << "of another node";
  using Devices = std::set<std::uint32_t>;
  EXPECT_EQ(ledger.devices_on("node-1"), (Devices{0, 3}));
  auto restored = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(restored.leases(), ledger.leases());
  EXPECT_EQ(restored.devices_on("node-1"), (Devices{0, 3}));
  ASSERT_TRUE(restored.apply(event(LeaseReleasing{1})));
  EXPECT_FALSE(restored.apply(grant(3, {0, 1}))) << "its process is not gone yet";
  ASSERT_TRUE(restored.apply(event(LeaseEnded{1})));
  EXPECT_TRUE(restored.devices_on("node-1").empty());
  EXPECT_TRUE(restored.apply(grant(3, {0, 1})));
  EXPECT_EQ(restored.demands(0).front().gpus, 2U);
  EXPECT_EQ(restored.demands(0).front().gpu_kind, "H200");
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

/// Else what it has would go to others, as that of a gang which has lost workers and stands still.
TEST(Ledger, KnowsAGangThatRunsWithFewerThanItsOwnerWantsNowFromOneThatHasLostWorkers) {
  auto ledger = with_job();
  const auto goes_on = [&] { return ledger.demands(0).front().works_with_fewer; };
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "n", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "n", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::starting, ""})));
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 1, {1, 2}, 0})));
  EXPECT_FALSE(goes_on());
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::running, ""})));
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"intents-1", 3, 4})));
  EXPECT_EQ(ledger.demands(0).front().workers, (WorkerCount{3, 4}));
  EXPECT_TRUE(goes_on());
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{2})));
  EXPECT_FALSE(goes_on());
}

TEST(Ledger, RemembersTheUseOfSoManyQueuesThatHaveNothingNow) {
  Ledger ledger;
  std::int64_t at_ms = 1000;
  std::uint64_t worker = 0;
  for (std::size_t i = 0; i < 2 * Ledger::kMaxUses; ++i, at_ms += 1000) {
    const std::string job = "job-" + std::to_string(i);
    const std::string text = "kind: command\nrun: x\ntenant: t" + std::to_string(i) + "\n";
    ASSERT_TRUE(ledger.apply(event(JobSubmitted{job, "", "a.yaml", "/", text}, at_ms)));
    ASSERT_TRUE(ledger.apply(event(LeaseGranted{++worker, job, "n", 1, 2ULL << 30}, at_ms)));
    if (i == 0) continue;  // it runs on
    ASSERT_TRUE(ledger.apply(event(LeaseEnded{worker}, at_ms + 500)));
  }
  EXPECT_EQ(ledger.past_use(at_ms).size(), Ledger::kMaxUses);
  EXPECT_TRUE(
      std::ranges::any_of(ledger.past_use(at_ms), [](const PastUse& one) { return one.tenant == "t0"; }));
  EXPECT_EQ(Ledger::restore(ledger.snapshot())->past_use(at_ms).size(), Ledger::kMaxUses);
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

TEST(Ledger, CountsNoRestartAfterACrashThatEndsTheJob) {
  auto ledger = with_job();
  const auto restarts = [&] { return ledger.find("intents-1")->restarts; };
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "n", 1, 0})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::starting, ""})));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 1, 500})));
  EXPECT_EQ(restarts(), 1U) << "it is due";
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 1, {1}, 0})));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 1, 2, 500})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(restarts(), 2U);
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::failed, "crash 2"})));
  EXPECT_EQ(restarts(), 1U);
  ASSERT_TRUE(ledger.apply(event(JobRetried{"intents-1"})));
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"intents-1", 2, {1}, 0})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::cancelled, ""})));
  EXPECT_EQ(restarts(), 1U) << "no crash came since";
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

TEST(Ledger, LetsWorkersOfElasticTrainingJobsRelocateAMinuteAfterTheNewestCame) {
  auto ledger = with_job();
  const auto demand = [&](std::int64_t now_ms) { return ledger.demands(now_ms).at(0); };
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0}, 100'000)));
  EXPECT_TRUE(demand(100'000).can_relocate);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "node-2", 1, 0}, 150'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1}, 150'000)));
  EXPECT_EQ(ledger.next_change_ms(*ledger.find("intents-1"), 170'000), 210'000);
  EXPECT_FALSE(demand(209'999).is_young);
  EXPECT_TRUE(demand(209'999).is_new_there);
  EXPECT_FALSE(demand(210'000).is_new_there);
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"intents-1", 1, 1}, 220'000)));
  EXPECT_FALSE(demand(220'000).can_relocate) << "it is not elastic any more";
  auto fixed = submitted("fixed");
  fixed.text += "preemptible: false\n";
  auto command = submitted("command");
  command.text = "kind: command\nrun: [x]\nworkers: {min: 1, max: 2}\n";
  for (const auto& job : {fixed, command}) {
    ASSERT_TRUE(ledger.apply(event(job)));
    EXPECT_FALSE(ledger.demand(*ledger.find(job.job), 0)->can_relocate) << job.job;
  }
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

TEST(Ledger, AveragesTheGpusThatAQueueUsedToo) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(JobSubmitted{"a", "", "f", "/d", kGpuJob})));
  constexpr std::int64_t kHour = 3'600'000;
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "a", "node-1", 1, 0, Role::worker, {0, 1}}, 10 * kHour)));
  EXPECT_DOUBLE_EQ(ledger.past_use(11 * kHour).at(0).gpus, 1);
  ledger = Ledger::restore(ledger.snapshot()).value();
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 11 * kHour)));
  EXPECT_DOUBLE_EQ(ledger.past_use(12 * kHour).at(0).gpus, 0.5);
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

/// A random event, sensible or not.
Event random_event(std::mt19937_64& random) {
  const auto job = "job-" + std::to_string(random() % 4);
  const std::uint64_t number = random() % 12;
  switch (random() % 25) {
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
    case 23:
      return event(SpeedMeasured{job, static_cast<std::uint32_t>(number), 1,
                                 0.1 * static_cast<double>(number), 0.1, static_cast<double>(random() % 2)});
    case 22:
      return event(RankFinished{job, number});
    case 21:
      return event(QuarantineLifted{"node-" + std::to_string(number % 3)});
    case 20:
      return event(WorkerCrashed{job, number, 1, 9, "node-" + std::to_string(number % 3)});
    case 24:
      return event(JobForgotten{job});
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
    for (const auto& [id, job] : ledger.jobs()) {
      const auto* other = replayed.find(id);
      ASSERT_EQ(job.curve == nullptr, other->curve == nullptr);
      if (job.curve) {
        EXPECT_EQ(*job.curve, *other->curve);
      }
    }
    for (const Ledger* one : {&ledger, &replayed}) {  // what is looked up is what there is
      std::size_t of_jobs = 0, on_nodes = 0;
      for (const auto& [id, job] : one->jobs()) {
        of_jobs += one->leases_of(id).size();
        EXPECT_EQ(one->match(id), std::vector<const JobRecord*>{&job});
      }
      for (const auto& node : one->leased_nodes()) on_nodes += one->leases_on(node).size();
      EXPECT_EQ(of_jobs, one->leases().size());
      EXPECT_EQ(on_nodes, one->leases().size());
    }
  }
}

TEST(Ledger, ReadsASnapshotInWhichEachJobHasAllFieldsAndItsOwnText) {
  const auto field = [](const std::string& name, const std::string& value) {
    return "\"" + name + "\":" + value + ",";
  };
  std::string text;
  for (const char* c = kJobText; *c != '\0'; ++c) *c == '\n' ? text += "\\n" : text += *c;
  std::string job = "{" + field("id", "\"a\"") + field("key", "\"k\"") + field("file", "\"job.yaml\"") +
                    field("directory", "\"/data\"") + field("text", "\"" + text + "\"") + field("order", "7");
  for (const char* number :
       {"submitted", "started", "ended", "ran_before", "generation", "gang_since", "step", "total_steps",
        "steps_per_epoch", "checkpoint_step", "restarts", "crashes", "crash_bound", "retry_at"})
    job += field(number, "3");
  for (const char* list : {"depends_on", "servers", "finished", "members", "evaluations"})
    job += field(list, "[]");
  for (const char* no : {"cancel", "pause", "time_is_up"}) job += field(no, "false");
  job += field("scaled", "null") + field("priority", "800") + field("reason", "\"so\"") +
         "\"state\":\"RUNNING\"}";
  const auto ledger = Ledger::restore(
      "{\"drained\":[],\"jobs\":[" + job +
      "],\"leases\":[[5,\"a\",\"n\",1,0,false,\"worker\",false,9]],\"next_order\":8,\"next_worker\":6,"
      "\"uses\":[],\"version\":1}");
  ASSERT_TRUE(ledger);
  const JobRecord& record = *ledger->find("a");
  EXPECT_EQ(record.priority, 800U);
  EXPECT_EQ(record.state, JobState::running);
  EXPECT_EQ(*record.text, kJobText);
  EXPECT_EQ(record.retry_at_ms, 3);
  EXPECT_EQ(record.workers, 1U);
  EXPECT_FALSE(record.scaled);
  EXPECT_EQ(ledger->next_worker(), 6U);
}

TEST(Ledger, WritesTheTextOfManyJobsOnce) {
  Ledger ledger;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ledger.apply(event(submitted("job-" + std::to_string(i)))));
  auto other = submitted("other");
  other.text += "seed: 5\n";
  ASSERT_TRUE(ledger.apply(event(other)));
  const auto snapshot = ledger.snapshot();
  EXPECT_LT(snapshot.size(), 101 * 150 + 101 * 80 + 2 * 500U)
      << "each job, that it was submitted, and the texts";
  const auto restored = Ledger::restore(snapshot);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->snapshot(), snapshot);
  EXPECT_EQ(*restored->find("job-7")->text, kJobText);
  EXPECT_EQ(*restored->find("other")->text, other.text);
  EXPECT_EQ(restored->find("job-7")->spec, restored->find("job-8")->spec) << "they share it again";
}

}  // namespace
}  // namespace ds::scheduler
