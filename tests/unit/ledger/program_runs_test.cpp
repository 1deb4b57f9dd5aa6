// What changes of its size have cost a job whose program starts again then.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

constexpr const char* kElastic = R"(
version: 1
kind: command
name: cmd
workers: {min: 1, max: 4}
run: sleep 1000
)";

class LedgerRuns : public ::testing::Test {
 protected:
  LedgerRuns() {
    JobSubmitted job = submitted("cmd");
    job.text = kElastic;
    apply(job, 0);
    apply(JobStateChanged{"cmd", JobState::starting, "because"}, 1'000);
    for (std::uint64_t worker = 1; worker <= 2; ++worker)
      apply(LeaseGranted{worker, "cmd", "n1", 1, 0}, 1'000);
    apply(GenerationFormed{"cmd", 1, {1, 2}, 0}, 2'000);
    apply(JobStateChanged{"cmd", JobState::running, "because"}, 3'000);
  }
  void apply(Event::Body body, std::int64_t at_ms) { apply(std::move(body), at_ms, "scheduler"); }
  void apply(Event::Body body, std::int64_t at_ms, const std::string& by) {
    ASSERT_TRUE(ledger_.apply({at_ms, by, "because", std::move(body)}));
  }
  const ProgramRuns& runs() const { return ledger_.find("cmd")->runs; }
  Demand demand(std::int64_t now_ms) const { return ledger_.demand(*ledger_.find("cmd"), now_ms).value(); }
  Ledger ledger_;
};

TEST_F(LedgerRuns, SayWhenItMayGrow) {
  EXPECT_GT(demand(31'999).grows_to, 4U);
  EXPECT_EQ(demand(32'000).grows_to, 3U);
  EXPECT_EQ(ledger_.next_change_ms(*ledger_.find("cmd"), 3'000), 32'000);
  EXPECT_EQ(ledger_.next_change_ms(*ledger_.find("cmd"), 42'000), 52'000) << "a quarter of its run later";
  apply(LeaseGranted{3, "cmd", "n1", 1, 0}, 42'000);
  apply(LeaseGranted{4, "cmd", "n1", 1, 0}, 42'000);
  EXPECT_EQ(runs(), (ProgramRuns{0, 40'000, 0}));
  apply(GenerationFormed{"cmd", 2, {1, 2, 3, 4}, 0}, 50'000);
  EXPECT_FALSE(demand(50'000).is_resting);
}

TEST_F(LedgerRuns, SayForHowLongItRestsWhenItWasShrunk) {
  apply(LeaseReleasing{2}, 12'000);
  EXPECT_FALSE(demand(12'000).is_resting) << "nothing runs";
  apply(LeaseEnded{2}, 13'000);
  apply(GenerationFormed{"cmd", 2, {1}, 0}, 20'000);
  EXPECT_EQ(runs(), (ProgramRuns{20'000, 0, 10'000}));
  EXPECT_TRUE(demand(39'999).is_resting);
  EXPECT_FALSE(demand(40'000).is_resting);
  EXPECT_TRUE(demand(40'000).will_rest);
  EXPECT_EQ(ledger_.next_change_ms(*ledger_.find("cmd"), 20'000), 40'000);
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("cmd")->runs, runs());
}

TEST_F(LedgerRuns, GrowSoonAfterOthersHaveEndedALongOne) {
  apply(LeaseReleasing{2}, 302'000);
  EXPECT_EQ(runs(), (ProgramRuns{0, 0, 300'000}));
  apply(GenerationFormed{"cmd", 2, {1}, 0}, 310'000);
  EXPECT_GT(demand(339'999).grows_to, 4U);
  EXPECT_EQ(demand(340'000).grows_to, 2U);
}

TEST_F(LedgerRuns, CountNoDrainNorANodeThatEnds) {
  apply(NodeDrained{"n1", "because"}, 300'000);
  apply(LeaseReleasing{2}, 302'000);
  EXPECT_EQ(runs(), ProgramRuns{});
  apply(GenerationFormed{"cmd", 2, {1}, 0}, 310'000);
  apply(NodeUndrained{"n1"}, 320'000);
  apply(LeaseReleasing{1}, 400'000, "head");
  EXPECT_EQ(runs(), ProgramRuns{});
}

TEST_F(LedgerRuns, CountNotThatItIsStoppedWholeAndWaitsAgain) {
  apply(JobStateChanged{"cmd", JobState::queued, "because"}, 20'000);
  apply(LeaseReleasing{2}, 20'000);
  apply(LeaseReleasing{1}, 20'000);
  EXPECT_EQ(runs(), ProgramRuns{});
}

TEST_F(LedgerRuns, GoOnWithoutRanksThatHaveEnded) {
  apply(RankFinished{"cmd", 2}, 10'000);
  apply(LeaseReleasing{2}, 12'000);
  EXPECT_EQ(runs(), (ProgramRuns{2'000, 0, 0}));
  apply(RankFinished{"cmd", 1}, 13'000);
  apply(LeaseEnded{1}, 14'000);
  EXPECT_EQ(runs(), (ProgramRuns{2'000, 0, 0}));
}

TEST_F(LedgerRuns, GrowSoonWhenTheirOwnerAllowsMore) {
  apply(WorkersScaled{"cmd", 1, 2}, 4'000);
  EXPECT_FALSE(runs().is_raised);
  apply(WorkersScaled{"cmd", 1, 4}, 482'000);
  EXPECT_EQ(demand(482'000).grows_to, 3U) << "after eight minutes";
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("cmd")->runs, runs());
  apply(LeaseGranted{3, "cmd", "n1", 1, 0}, 482'000);
  EXPECT_EQ(runs(), ProgramRuns{});
}

/// For how long it has run, as its time_limit counts.
class LedgerLimits : public ::testing::Test {
 protected:
  static constexpr const char* kProgram =
      "kind: command\nname: job\nrun: x\nworkers: {min: 1, max: 2}\ntime_limit: 100s\n";

  void begin(const std::string& text = kProgram) {
    JobSubmitted job = submitted("job");
    job.text = text;
    apply(job, 0);
    start(10'000);
  }
  /// With two workers, from then on.
  void start(std::int64_t at_ms) {
    if (state() != JobState::resizing) apply(JobStateChanged{"job", JobState::starting, "because"}, at_ms);
    const auto first = ledger_.next_worker();
    apply(LeaseGranted{first, "job", "n1", 1, 0}, at_ms);
    apply(LeaseGranted{first + 1, "job", "n2", 1, 0}, at_ms);
    apply(GenerationFormed{"job", ++generation_, {first, first + 1}, 0}, at_ms);
    apply(JobStateChanged{"job", JobState::running, "because"}, at_ms);
  }
  void stop(std::int64_t at_ms, const std::string& by = "scheduler") {
    for (const auto& lease : ledger_.leases_of("job")) apply(LeaseReleasing{lease.worker}, at_ms, by);
    for (const auto& lease : ledger_.leases_of("job")) apply(LeaseEnded{lease.worker}, at_ms, "node n1");
  }
  void apply(Event::Body body, std::int64_t at_ms, const std::string& by = "scheduler") {
    ASSERT_TRUE(ledger_.apply({at_ms, by, "because", std::move(body)}));
  }
  JobState state() const { return ledger_.find("job")->state; }
  std::int64_t run_s(std::int64_t at_ms) const { return ledger_.find("job")->run_ms(at_ms) / 1000; }
  std::int64_t lasts_s(std::int64_t at_ms) const {
    return ledger_.demand(*ledger_.find("job"), at_ms)->lasts_ms / 1000;
  }

  Ledger ledger_;
  std::uint64_t generation_ = 0;
};

TEST_F(LedgerLimits, BeginAnewWithAProgramThatIsPreemptedOrPaused) {
  for (const auto where : {JobState::preempted, JobState::paused, JobState::queued}) {
    ledger_ = {};
    generation_ = 0;
    begin();
    EXPECT_EQ(run_s(70'000), 60);
    apply(JobStateChanged{"job", where, "because"}, 70'000);
    stop(75'000);
    EXPECT_EQ(run_s(80'000), 0);
    EXPECT_EQ(lasts_s(80'000), 100) << "it needs all of its time again";
    ledger_ = Ledger::restore(ledger_.snapshot()).value();
    if (where == JobState::paused) apply(JobStateChanged{"job", JobState::queued, "because"}, 85'000);
    start(90'000);
    EXPECT_EQ(run_s(100'000), 10);
    EXPECT_FALSE(ledger_.is_overdue(*ledger_.find("job"), 189'000));
    EXPECT_TRUE(ledger_.is_overdue(*ledger_.find("job"), 190'000));
    EXPECT_EQ(ledger_.next_change_ms(*ledger_.find("job"), 180'000), 190'000);
  }
}

TEST_F(LedgerLimits, CountWhatAProgramRanBeforeItCrashedByItself) {
  begin();
  apply(WorkerCrashed{"job", 1, 1, 75'000}, 70'000, "worker 1");
  apply(LeaseEnded{1}, 70'000, "node n1");
  apply(LeaseReleasing{2}, 70'000, "gang of job");
  apply(LeaseEnded{2}, 75'000, "node n2");
  apply(JobStateChanged{"job", JobState::queued, "because"}, 75'000, "head");
  EXPECT_EQ(run_s(80'000), 60);
  start(80'000);
  EXPECT_EQ(run_s(90'000), 70);
  apply(JobStateChanged{"job", JobState::preempted, "because"}, 90'000);
  stop(90'000);
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_EQ(run_s(95'000), 60) << "what it lost to others does not count, its crash does";
  start(100'000);
  EXPECT_TRUE(ledger_.is_overdue(*ledger_.find("job"), 140'000));
}

TEST_F(LedgerLimits, BeginAnewWhereANodeIsLostOrDrainedThoughOthersStay) {
  begin();
  apply(LeaseEnded{2}, 70'000, "head");
  EXPECT_EQ(run_s(70'000), 0);
  apply(GenerationFormed{"job", ++generation_, {1}, 0}, 75'000);
  EXPECT_EQ(run_s(80'000), 10);
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_EQ(run_s(80'000), 10);
  const auto demand = ledger_.demand(*ledger_.find("job"), 80'000).value();
  EXPECT_EQ(demand.ends_ms, 170'000) << "others may count on its slots from then on";
  apply(LeaseGranted{3, "job", "n2", 1, 0}, 80'000);
  apply(NodeDrained{"n2", ""}, 90'000, "operator");
  apply(LeaseReleasing{3}, 90'000);
  EXPECT_EQ(run_s(95'000), 5);
}

TEST_F(LedgerLimits, CountOverAChangeOfSizeForOthersMayHaveBeenPromisedTheSlots) {
  begin();
  apply(LeaseReleasing{2}, 70'000);
  apply(LeaseEnded{2}, 75'000, "node n2");
  apply(GenerationFormed{"job", ++generation_, {1}, 0}, 75'000);
  EXPECT_EQ(run_s(80'000), 70);
  EXPECT_EQ(ledger_.demand(*ledger_.find("job"), 80'000)->ends_ms, 110'000);
}

TEST_F(LedgerLimits, AreStillKnownWhenTheProgramHasEnded) {
  begin();
  for (const std::uint64_t worker : {1, 2}) apply(LeaseEnded{worker}, 70'000, "node n1");
  apply(JobStateChanged{"job", JobState::succeeded, "exit code 0"}, 70'000);
  EXPECT_EQ(run_s(90'000), 60);
}

TEST_F(LedgerLimits, AreOfAllThatATrainingJobHasRun) {
  begin(std::string(kJobText) + "time_limit: 100s\n");
  apply(JobStateChanged{"job", JobState::preempted, "because"}, 70'000);
  stop(70'000);
  EXPECT_EQ(run_s(80'000), 60);
  start(90'000);
  apply(LeaseEnded{4}, 100'000, "head");
  EXPECT_EQ(run_s(110'000), 80);
}

TEST_F(LedgerRuns, HaveBegunWithTheirGangWhereASnapshotDoesNotSay) {
  auto document = nlohmann::ordered_json::parse(ledger_.snapshot());
  ASSERT_EQ(document.at("jobs").at(0).erase("runs"), 1U);
  const auto restored = Ledger::restore(document.dump());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("cmd")->runs, (ProgramRuns{1'000, 0, 0}));
  apply(JobStateChanged{"cmd", JobState::resizing, "because"}, 20'000);
  apply(WorkerCrashed{"cmd", 1, 1, 50'000}, 20'000);
  const auto again = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->find("cmd")->runs, ProgramRuns{}) << "it says that nothing runs";
}

TEST_F(LedgerRuns, CountNoCrashNorLostNodeNorWhatItsOwnerWants) {
  apply(WorkersScaled{"cmd", 1, 1}, 20'000);
  apply(LeaseReleasing{2}, 20'000);
  EXPECT_EQ(runs(), ProgramRuns{});
  EXPECT_EQ(demand(20'000).grows_to, 0U) << "it has one size";
  apply(GenerationFormed{"cmd", 2, {1}, 0}, 30'000);
  apply(WorkerCrashed{"cmd", 1, 1, 50'000}, 40'000);
  EXPECT_EQ(runs(), ProgramRuns{});
  apply(GenerationFormed{"cmd", 3, {1}, 0}, 60'000);
  apply(LeaseEnded{1}, 70'000);
  EXPECT_EQ(runs(), ProgramRuns{});
}

TEST_F(LedgerRuns, CountNotThatItIsPreempted) {
  apply(JobStateChanged{"cmd", JobState::preempted, "because"}, 20'000);
  apply(LeaseReleasing{2}, 20'000);
  apply(LeaseReleasing{1}, 20'000);
  EXPECT_EQ(runs(), ProgramRuns{});
}

}  // namespace
}  // namespace ds::scheduler
