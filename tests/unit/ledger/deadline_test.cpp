// Jobs with deadlines that were accepted.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

class DeadlineLedger : public ::testing::Test {
 protected:
  void SetUp() override {
    auto submission = submitted("a");
    submission.text += "time_limit: 40s\ndeadline: 2h\n";
    ASSERT_TRUE(apply(std::move(submission), 1000));
    ASSERT_TRUE(apply(DeadlinePromised{"a", 100'000, 50'000}, 1000));
  }
  bool apply(Event::Body body, std::int64_t at_ms = 2000) {
    return ledger_.apply(event(std::move(body), at_ms));
  }
  const JobRecord& job() const { return *ledger_.find("a"); }
  bool comes_first(std::int64_t now_ms) const {
    const auto demand = ledger_.demand(job(), now_ms);
    EXPECT_TRUE(demand);
    return demand && demand->has_promise;
  }

  Ledger ledger_;
};

TEST_F(DeadlineLedger, APromisedJobComesFirstAndIsNotTakenFromAfterARestartToo) {
  EXPECT_TRUE(comes_first(2000));
  EXPECT_EQ(ledger_.promised(), std::set<std::string>{"a"});
  EXPECT_FALSE(apply(DeadlinePromised{"a", 1, 1})) << "it has a promise";
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  ledger_ = *restored;
  EXPECT_TRUE(comes_first(2000));
  EXPECT_EQ(job().starts_by_ms, 50'000);
  EXPECT_EQ(job().deadline_ms, 100'000);
  EXPECT_EQ(ledger_.promised(), std::set<std::string>{"a"});
}

TEST_F(DeadlineLedger, IsGivenUpWhereItsJobLacksWorkersForTooLongOrCrashesAgain) {
  ASSERT_TRUE(apply(LeaseGranted{1, "a", "n", 1, 0}, 40'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 40'000));
  ASSERT_TRUE(apply(WorkerCrashed{"a", 1, 1, 45'000}, 41'000));
  EXPECT_EQ(ledger_.find_missed(job(), 41'000), std::nullopt) << "it may be tried again in time";
  ASSERT_TRUE(apply(LeaseEnded{1}, 41'000));
  EXPECT_EQ(ledger_.find_missed(job(), 61'000), std::nullopt) << "it has run for 1 of its 40 s";
  EXPECT_NE(ledger_.find_missed(job(), 61'001).value().find("too late"), std::string::npos);
  ASSERT_TRUE(apply(WorkerCrashed{"a", 2, 2, 60'000}, 50'000));
  EXPECT_EQ(ledger_.find_missed(job(), 50'000), "it has crashed 2 times");
}

TEST_F(DeadlineLedger, IsLookedAtWhenAMomentOfItsPromiseHasPassed) {
  EXPECT_EQ(ledger_.next_change_ms(job(), 2000), 60'001);
  EXPECT_EQ(ledger_.find_missed(job(), 60'000), std::nullopt);
  EXPECT_NE(ledger_.find_missed(job(), 60'001).value().find("was promised to start by"), std::string::npos);
  ASSERT_TRUE(apply(LeaseGranted{1, "a", "n", 1, 0}, 40'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 40'000));
  EXPECT_EQ(ledger_.find_missed(job(), 60'001), std::nullopt);
  EXPECT_NE(ledger_.find_missed(job(), 100'001).value().find("by its deadline, 1970-01-01T00:01:40Z"),
            std::string::npos);
  ASSERT_TRUE(apply(DeadlineMissed{"a"}, 100'001));
  EXPECT_TRUE(job().is_deadline_missed);
  EXPECT_FALSE(comes_first(100'001)) << "it is a job like others now";
  EXPECT_FALSE(apply(DeadlineMissed{"a"}, 100'002));
  EXPECT_EQ(ledger_.find_missed(job(), 200'000), std::nullopt) << "it is said once";
  EXPECT_TRUE(ledger_.promised().empty());
}

TEST_F(DeadlineLedger, APromiseThatCannotBeKeptIsBrokenAtOnceAndMissedOnceItsDeadlineHasPassed) {
  ASSERT_TRUE(ledger_.apply({60'001, "scheduler", "it is too late", DeadlineMissed{"a"}}));
  EXPECT_EQ(job().broken_promise, "it is too late");
  EXPECT_FALSE(job().is_deadline_missed) << "its deadline is still to come";
  EXPECT_FALSE(comes_first(60'001));
  EXPECT_FALSE(job().has_given_promise_up());
  EXPECT_FALSE(apply(DeadlineMissed{"a"}, 100'000)) << "nothing has changed";
  EXPECT_EQ(ledger_.find_missed(job(), 100'000), std::nullopt);
  EXPECT_EQ(ledger_.next_change_ms(job(), 60'001), 100'001);
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  ledger_ = *restored;
  EXPECT_EQ(job().broken_promise, "it is too late");
  EXPECT_NE(ledger_.find_missed(job(), 100'001).value().find("has not ended by its deadline"),
            std::string::npos);
  ASSERT_TRUE(apply(DeadlineMissed{"a"}, 100'001));
  EXPECT_TRUE(job().is_deadline_missed);
  EXPECT_EQ(job().broken_promise, "it is too late") << "that is what was wrong";
  EXPECT_EQ(ledger_.find_missed(job(), 200'000), std::nullopt) << "it is said once";
  std::vector<std::string> told;
  for (const auto& one : ledger_.history_of(job(), std::nullopt).happenings) told.push_back(one.what);
  EXPECT_EQ(told, (std::vector<std::string>{"submitted", "deadline_promised", "promise_broken",
                                            "deadline_missed"}));
}

TEST_F(DeadlineLedger, NothingIsMissedByAJobThatHasEnded) {
  ASSERT_TRUE(ledger_.apply({60'001, "scheduler", "it is too late", DeadlineMissed{"a"}}));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::failed, "no"}, 70'000));
  EXPECT_EQ(ledger_.find_missed(job(), 200'000), std::nullopt);
  EXPECT_FALSE(job().is_deadline_missed);
}

TEST_F(DeadlineLedger, IsMissedByAJobThatEndsLateThoughNobodyHasLookedMeanwhile) {
  for (const bool is_broken : {false, true}) {
    for (const std::int64_t ended_ms : {100'000, 100'001}) {
      SCOPED_TRACE(std::to_string(is_broken) + " " + std::to_string(ended_ms));
      ledger_ = {};
      SetUp();
      if (is_broken) {
        ASSERT_TRUE(apply(DeadlineMissed{"a"}, 60'001));
      }
      ASSERT_TRUE(apply(LeaseGranted{1, "a", "n", 1, 0}, 61'000));
      ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 61'000));
      ASSERT_TRUE(apply(JobStateChanged{"a", JobState::running, "all are there"}, 62'000));
      ASSERT_TRUE(apply(JobStateChanged{"a", JobState::succeeded, "exit code 0"}, ended_ms));
      EXPECT_EQ(job().is_deadline_missed, ended_ms > 100'000);
      EXPECT_EQ(job().broken_promise.empty(), !is_broken);
    }
  }
}

TEST_F(DeadlineLedger, SaysOnceByHowMuchAJobWasLateAfterARestartToo) {
  const auto told = [&] {
    std::vector<std::string> late;
    for (const auto& one : ledger_.history_of(job(), std::nullopt).happenings) {
      if (one.what == "ended_late") late.push_back(one.value);
    }
    return late;
  };
  for (const bool was_looked_at : {false, true}) {
    ledger_ = {};
    SetUp();
    if (was_looked_at) {
      ASSERT_TRUE(apply(DeadlineMissed{"a"}, 100'001));
    }
    EXPECT_TRUE(told().empty()) << "it goes on";
    ASSERT_TRUE(apply(JobStateChanged{"a", JobState::failed, "no"}, 111'500));
    EXPECT_EQ(told(), std::vector<std::string>{"12 s"});
    EXPECT_EQ(ledger_.history_of(job(), std::nullopt).happenings.back().what, "ended_late");
    const auto restored = Ledger::restore(ledger_.snapshot());
    ASSERT_TRUE(restored);
    ledger_ = *restored;
    EXPECT_FALSE(apply(JobStateChanged{"a", JobState::failed, "again"}, 120'000));
    EXPECT_EQ(told(), std::vector<std::string>{"12 s"});
  }
  ledger_ = {};
  SetUp();
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::failed, "no"}, 100'000));
  EXPECT_TRUE(told().empty()) << "it was in time";
}

/// Versions that knew neither wrote no broken promise, and no starts of heads.
TEST_F(DeadlineLedger, IsReadOfASnapshotAndAJournalOfAVersionThatTookBrokenForMissed) {
  ASSERT_TRUE(apply(HeadStarted{"0.1.0"}, 3000));
  ASSERT_TRUE(ledger_.apply({60'001, "scheduler", "it is too late", DeadlineMissed{"a"}}));
  auto document = nlohmann::json::parse(ledger_.snapshot());
  ASSERT_EQ(document.erase("starts"), 1U);
  ASSERT_EQ(document.erase("newest"), 1U);
  auto& old = document.at("jobs").at(0);
  ASSERT_EQ(old.erase("broken_promise"), 1U);
  old["deadline_missed"] = true;
  auto restored = Ledger::restore(document.dump());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->starts(), 0U);
  EXPECT_EQ(restored->newest_ms(), 0);
  const auto& job = *restored->find("a");
  EXPECT_TRUE(job.is_deadline_missed);
  EXPECT_EQ(job.broken_promise, "");
  EXPECT_FALSE(job.has_given_promise_up());
  EXPECT_EQ(restored->find_missed(job, 200'000), std::nullopt);
  ASSERT_TRUE(restored->apply(event(JobStateChanged{"a", JobState::failed, "no"}, 70'000)));
  EXPECT_EQ(restored->newest_ms(), 70'000);

  const std::vector<Event> journal{event(HeadStarted{"0.1.0"}, 71'000), event(JobRetried{"a"}, 72'000)};
  for (const auto& one : journal) ASSERT_TRUE(restored->apply(*event_from(write_event(one).text)));
  EXPECT_EQ(restored->starts(), 1U) << "from now on they are counted";
}

TEST_F(DeadlineLedger, IsNotMissedByAJobThatWasPausedAndEndsLate) {
  ASSERT_TRUE(apply(PauseRequested{"a"}));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::cancelled, "no"}, 100'001));
  EXPECT_FALSE(job().is_deadline_missed) << "it was promised no more";
}

/// It has had 1 of its 40 s then.
TEST_F(DeadlineLedger, APausedJobMayBePromisedItsDeadlineAnewAndWaitsForThatStart) {
  ASSERT_TRUE(apply(LeaseGranted{1, "a", "n", 1, 0}, 40'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 40'000));
  EXPECT_FALSE(job().awaits_promised_start());
  ASSERT_TRUE(apply(PauseRequested{"a"}, 41'000));
  ASSERT_TRUE(apply(LeaseReleasing{1}, 41'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::paused, "paused"}, 41'000));
  ASSERT_TRUE(apply(ResumeRequested{"a"}, 42'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::queued, "resumed"}, 42'000));
  ASSERT_TRUE(apply(DeadlinePromised{"a", 100'000, 55'000}, 42'000));
  EXPECT_FALSE(apply(DeadlinePromised{"a", 100'000, 55'000}, 42'000));
  EXPECT_FALSE(job().has_given_promise_up());
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  ledger_ = *restored;
  EXPECT_TRUE(job().awaits_promised_start());
  EXPECT_TRUE(comes_first(43'000));
  EXPECT_EQ(job().lasts_ms(), 39'000);
  EXPECT_EQ(ledger_.next_change_ms(job(), 43'000), 61'001);
  EXPECT_EQ(ledger_.find_missed(job(), 61'000), std::nullopt) << "it lacks workers, since it waits";
  EXPECT_NE(ledger_.find_missed(job(), 61'001).value().find("was promised to start by"), std::string::npos);
  ASSERT_TRUE(apply(LeaseGranted{2, "a", "n", 1, 0}, 50'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 50'000));
  EXPECT_FALSE(job().awaits_promised_start());
  EXPECT_EQ(ledger_.find_missed(job(), 61'001), std::nullopt);
  ASSERT_TRUE(apply(LeaseEnded{2}, 51'000));
  EXPECT_NE(ledger_.find_missed(job(), 100'000).value().find("it lacks workers"), std::string::npos);
}

TEST_F(DeadlineLedger, AJobThatHasRunIsPromisedNothingUnlessItWasPaused) {
  ASSERT_TRUE(apply(LeaseGranted{1, "a", "n", 1, 0}, 40'000));
  ASSERT_TRUE(apply(JobStateChanged{"a", JobState::starting, "its workers start"}, 40'000));
  ASSERT_TRUE(apply(DeadlineMissed{"a"}, 41'000));
  ASSERT_TRUE(apply(LeaseEnded{1}, 41'000));
  EXPECT_FALSE(apply(DeadlinePromised{"a", 100'000, 55'000}, 42'000)) << "its promise is broken";
}

TEST_F(DeadlineLedger, APromiseEndsWithTheJobAndWhenItsOwnerPausesIt) {
  ASSERT_TRUE(apply(PauseRequested{"a"}));
  EXPECT_TRUE(ledger_.promised().empty());
  EXPECT_TRUE(job().has_given_promise_up());
  ASSERT_TRUE(apply(ResumeRequested{"a"}));
  EXPECT_TRUE(job().has_given_promise_up()) << "nobody has promised it again";
  EXPECT_FALSE(comes_first(3000));
  EXPECT_FALSE(job().is_deadline_missed);

  auto other = submitted("b");
  ASSERT_TRUE(apply(std::move(other)));
  ASSERT_TRUE(apply(DeadlinePromised{"b", 100'000, 50'000}));
  ASSERT_TRUE(apply(JobStateChanged{"b", JobState::failed, "no"}));
  EXPECT_TRUE(ledger_.promised().empty());
  ASSERT_TRUE(apply(JobRetried{"b"}));
  EXPECT_EQ(ledger_.find("b")->deadline_ms, 0) << "nothing is promised to it";
}

}  // namespace
}  // namespace ds::scheduler
