#include "actors/head/expected_start.hpp"

#include <gtest/gtest.h>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using nlohmann::json;
using scheduler::testing::event;
using scheduler::testing::submitted;

JobSubmitted submitted_with(const std::string& job, const std::string& more) {
  auto body = submitted(job);
  body.text += more;
  return body;
}

class ExpectedStart : public ::testing::Test {
 protected:
  void SetUp() override {
    apply(submitted_with("running", "time_limit: 1h\n"), 0);
    apply(LeaseGranted{1, "running", "node-1", 1, 2ULL << 30}, 100'000);
    apply(JobStateChanged{"running", JobState::starting, ""}, 100'000);
    apply(JobSized{"running", 100, 50}, 100'000);
    live_.step = 50;
    live_.samples_per_second = 128;  // a step a second
    planner_.set_nodes({{"node-1", 1, 64ULL << 30, true}});
  }
  void apply(Event::Body body, std::int64_t at_ms) {
    ASSERT_TRUE(ledger_.apply(event(std::move(body), at_ms)));
  }
  std::optional<StartForecast> expect(const std::string& job, std::int64_t now_ms) {
    for (const std::string& id : ledger_.take_changed())
      planner_.set_job(id, ledger_.demand(*ledger_.find(id), now_ms), ledger_.leases_of(id));
    const auto find_live = [&](const std::string& id) { return id == "running" ? &live_ : nullptr; };
    return expect_start(*ledger_.find(job), ledger_, planner_, find_live, now_ms);
  }

  Ledger ledger_;
  Planner planner_;
  LiveJob live_;
};

TEST_F(ExpectedStart, IsBetweenTheStepsLeftAndTheTimeLimitOfWhatRuns) {
  apply(submitted("next"), 200'000);
  const auto next = expect("next", 200'000);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->from_ms, 250'000);
  ASSERT_TRUE(next->to_ms);
  EXPECT_GE(*next->to_ms, 3'700'000);
  EXPECT_LE(*next->to_ms, 3'700'000 + 600'000) << "and the time to save and stop";
  EXPECT_EQ(expect("running", 200'000), std::nullopt);
  live_.samples_per_second = 0;  // not measured yet
  const auto unmeasured = expect("next", 200'000);
  ASSERT_TRUE(unmeasured);
  EXPECT_EQ(unmeasured->from_ms, 200'000);
}

TEST_F(ExpectedStart, IsOpenWhenAnEarlierJobMayBeginBefore) {
  apply(submitted_with("timed", "start_after: 1h\n"), 200'000);
  apply(submitted("next"), 200'000);
  EXPECT_EQ(expect("next", 200'000), (StartForecast{250'000, std::nullopt}));
  EXPECT_EQ(expect("timed", 200'000), (StartForecast{3'800'000, std::nullopt}));
  apply(PauseRequested{"timed"}, 200'000);
  const auto next = expect("next", 200'000);
  EXPECT_TRUE(next && next->to_ms);
  EXPECT_EQ(expect("timed", 200'000), std::nullopt);
}

TEST_F(ExpectedStart, OfOneThatCrashedIsNotBeforeItIsTriedAgainNorBeforeThereIsRoom) {
  apply(submitted("next"), 200'000);
  apply(WorkerCrashed{"next", 7, 2, 240'000}, 200'000);
  EXPECT_EQ(expect("next", 200'000), (StartForecast{250'000, std::nullopt})) << "what runs has 50 s to do";
  apply(WorkerCrashed{"next", 8, 3, 290'000}, 200'000);
  EXPECT_EQ(expect("next", 200'000), (StartForecast{290'000, std::nullopt}));
  apply(PriorityChanged{"next", 400}, 290'000);  // the planner is told of it
  const auto next = expect("next", 290'000);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->to_ms) << "it waits as others do then";
}

TEST_F(ExpectedStart, OfOneThatDependsOnAnotherNobodyKnows) {
  auto job = submitted("next");
  job.depends_on = {"running"};
  apply(job, 200'000);
  EXPECT_EQ(expect("next", 200'000), std::nullopt);
}

TEST_F(ExpectedStart, AJobThatStopsByAMetricMayEndAtAnyMoment) {
  auto stopping = submitted_with("stopping", "early_stop: {metric: loss, patience: 2}\n");
  const std::string data = "data:\n";
  stopping.text.replace(
      stopping.text.find(data), data.size(),
      data + "  validate: {source: v.csv, format: csv, columns: {text: utterance, label: intent}}\n");
  apply(stopping, 0);
  apply(JobSized{"stopping", 100, 50}, 100'000);
  EXPECT_EQ(estimate_end_ms(*ledger_.find("stopping"), &live_, 200'000), 0);
  EXPECT_EQ(estimate_end_ms(*ledger_.find("running"), &live_, 200'000), 250'000);
  EXPECT_EQ(estimate_end_ms(*ledger_.find("running"), nullptr, 200'000), 0);
}

TEST_F(ExpectedStart, IsShownToTheSecondOutwards) {
  EXPECT_TRUE(expected_start_view(std::nullopt).is_null());
  EXPECT_EQ(expected_start_view(StartForecast{1'767'225'600'500, 1'767'225'600'500}),
            (json{{"from", "2026-01-01T00:00:00Z"}, {"to", "2026-01-01T00:00:01Z"}}));
  EXPECT_EQ(expected_start_view(StartForecast{1'767'225'600'000, std::nullopt}),
            (json{{"from", "2026-01-01T00:00:00Z"}, {"to", nullptr}}));
}

}  // namespace
}  // namespace ds::head
