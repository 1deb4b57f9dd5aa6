// Jobs are counted as they come and go, and the counts are those of a look at them all.
#include "scheduler/ledger/job_counts.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/ledger/ledger_events.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

void expect_counts_of_a_look(const Ledger& ledger) {
  std::map<JobCounts::Group, std::uint64_t, std::less<>> groups;
  std::uint64_t waiting = 0, unended = 0;
  for (const auto& [id, job] : ledger.jobs()) {
    ++groups[{job.spec->kind, job.state, job.spec->tenant}];
    waiting += is_waiting(job.state) ? 1 : 0;
    unended += is_end(job.state) ? 0 : 1;
  }
  EXPECT_EQ(ledger.counts().groups(), groups);
  EXPECT_EQ(ledger.counts().waiting(), waiting);
  EXPECT_EQ(ledger.counts().unended(), unended);
}

TEST(JobCounts, AreThoseOfALookAtAllJobsAfterEveryEvent) {
  for (const auto seed : Seeds(20)) {
    SCOPED_TRACE("DS_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t end) { return random() % end; };
    Ledger ledger;
    for (int step = 0; step < 300; ++step) {
      const std::string job = "job-" + std::to_string(below(12));
      constexpr JobState kStates[] = {JobState::queued,    JobState::starting,  JobState::running,
                                      JobState::resizing,  JobState::preempted, JobState::paused,
                                      JobState::succeeded, JobState::failed,    JobState::cancelled};
      auto submission = submitted(job);
      submission.text += "tenant: t" + std::to_string(below(3)) + "\n";
      const Event::Body bodies[] = {submission, JobStateChanged{job, kStates[below(9)], "why"},
                                    JobStateChanged{job, kStates[below(9)], "other"}, JobRetried{job},
                                    JobForgotten{job}};
      ledger.apply(event(bodies[below(5)], 1000 + step));
      if (below(50) == 0) {
        auto restored = Ledger::restore(ledger.snapshot());
        ASSERT_TRUE(restored);
        ledger = *std::move(restored);
      }
      expect_counts_of_a_look(ledger);
    }
    EXPECT_FALSE(ledger.jobs().empty());
  }
}

TEST(JobCounts, EndTheProcessWhereAJobIsTakenOutThatWasNotCounted) {
  JobCounts counts;
  JobSpec spec;
  counts.add(spec, JobState::queued);
  EXPECT_DEATH(counts.remove(spec, JobState::running), "");
  counts.remove(spec, JobState::queued);
  EXPECT_DEATH(counts.remove(spec, JobState::queued), "");
}

TEST(HeadStarts, AreCountedAndToldAndTheNewestMomentIsKnown) {
  Ledger ledger;
  EXPECT_EQ(ledger.starts(), 0U);
  EXPECT_EQ(ledger.newest_ms(), 0);
  ASSERT_TRUE(ledger.apply(event(HeadStarted{"1.2"}, 5000)));
  ASSERT_TRUE(ledger.apply(event(HeadStarted{"1.3"}, 7000)));
  ASSERT_TRUE(ledger.apply(event(NodeJoined{"n"}, 6000))) << "the clock was set back";
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  for (const Ledger* one : {static_cast<const Ledger*>(&ledger), &*restored}) {
    EXPECT_EQ(one->starts(), 2U);
    EXPECT_EQ(one->newest_ms(), 7000);
    const auto told = one->history().recent(0).happenings;
    ASSERT_EQ(told.size(), 3U);
    EXPECT_EQ(told[1].what, "head_started");
    EXPECT_EQ(told[1].value, "1.3");
    EXPECT_EQ(told[1].why, "because");
  }
}

}  // namespace
}  // namespace ds::scheduler
