// What `why` says of a job that may not start whatever is free, against trying: each set of what is in its
// way is taken away.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/start_conditions.hpp"
#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using testing::event;
using testing::submitted;

constexpr std::int64_t kSubmitted_ms = 10'000, kBegins_ms = 100'000;

struct Held {
  Ledger ledger;
  std::vector<std::string> others;  ///< jobs that "held" may depend on or not
  std::set<std::string> depends_on;
  bool begins_later = false, is_paused = false;
};

/// Of the others some have succeeded before, some run.
Held random_hold(std::mt19937& random) {
  Held held;
  for (std::uint32_t i = 0; i < 1 + random() % 4; ++i) {
    held.others.push_back("other-" + std::to_string(i));
    EXPECT_TRUE(held.ledger.apply(event(submitted(held.others.back()), kSubmitted_ms)));
    if (random() % 2 == 0) held.depends_on.insert(held.others.back());
  }
  auto job = submitted("held");
  job.depends_on = {held.depends_on.begin(), held.depends_on.end()};
  held.begins_later = random() % 2 == 0;
  if (held.begins_later) job.text += "start_after: 90s\n";
  EXPECT_TRUE(held.ledger.apply(event(job, kSubmitted_ms)));
  held.is_paused = random() % 2 == 0;
  if (held.is_paused) {
    EXPECT_TRUE(held.ledger.apply(event(PauseRequested{"held"}, kSubmitted_ms)));
  }
  for (const auto& other : held.others) {
    if (random() % 3 == 0) {
      EXPECT_TRUE(held.ledger.apply(event(JobStateChanged{other, JobState::succeeded, ""})));
    } else if (random() % 2 == 0) {
      EXPECT_TRUE(held.ledger.apply(event(JobStateChanged{other, JobState::starting, ""})));
    }
  }
  return held;
}

/// On a cluster with room for all.
bool starts(const Ledger& ledger, std::int64_t now_ms) {
  const std::vector<NodeView> nodes{{"node", 64, std::uint64_t{1} << 40}};
  const Plan plan = plan_jobs(nodes, {}, ledger.demands(now_ms), {}, {}, now_ms);
  return std::ranges::any_of(plan.placements, [](const auto& one) { return one.job == "held"; });
}

TEST(HoldsOracle, WhatIsNamedIsWhatKeepsTheJobFromStartingAndNothingElse) {
  std::set<std::string> seen;
  std::size_t started = 0, kept = 0;
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const Held held = random_hold(random);
    std::set<std::string> codes, jobs;
    for (const Reason& reason : held.ledger.holds(*held.ledger.find("held"), kSubmitted_ms)) {
      codes.insert(reason.code);
      jobs.insert(reason.blocking.begin(), reason.blocking.end());
      EXPECT_TRUE(reason.code == "dependency" || reason.blocking.empty());
      EXPECT_EQ(reason.unnamed, 0U);
    }
    seen.insert(codes.begin(), codes.end());
    EXPECT_EQ(codes.empty(), starts(held.ledger, kSubmitted_ms));
    // Bit 0: time passes, bit 1: its owner resumes it, the others: a job succeeds.
    for (unsigned set = 0; set < 4U << held.others.size(); ++set) {
      Ledger ledger = held.ledger;
      const bool time_passes = (set & 1U) != 0, is_resumed = (set & 2U) != 0;
      if (is_resumed && held.is_paused) {
        ASSERT_TRUE(ledger.apply(event(ResumeRequested{"held"})));
      }
      std::set<std::string> left = jobs;
      for (std::size_t i = 0; i < held.others.size(); ++i) {
        if ((set >> (i + 2) & 1U) == 0) continue;
        left.erase(held.others[i]);
        if (ledger.find(held.others[i])->state == JobState::succeeded) continue;
        ASSERT_TRUE(ledger.apply(event(JobStateChanged{held.others[i], JobState::succeeded, ""})));
      }
      const bool is_free = left.empty() && (time_passes || !codes.contains("begin_time")) &&
                           (is_resumed || !codes.contains("held"));
      EXPECT_EQ(starts(ledger, time_passes ? kBegins_ms : kSubmitted_ms), is_free) << "set " << set;
      ++(is_free ? started : kept);
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"begin_time", "dependency", "held"}));
  EXPECT_GT(started, 1000U);
  EXPECT_GT(kept, 1000U);
}

TEST(HoldsOracle, SaysHowManyItDependsOnWhereNotAllAreNamed) {
  StartConditions conditions;
  for (int i = 0; i < 57; ++i) conditions.unfinished.push_back({"job-" + std::to_string(i), "QUEUED"});
  const auto holds = explain_holds("held", conditions);
  ASSERT_EQ(holds.size(), 1U);
  EXPECT_EQ(holds[0].blocking.size(), 20U);
  EXPECT_EQ(holds[0].unnamed, 37U);
  EXPECT_EQ(holds[0].text,
            "starts when 57 jobs have succeeded, of which job-0, which is QUEUED; 20 of them are named");
}

}  // namespace
}  // namespace ds::scheduler
