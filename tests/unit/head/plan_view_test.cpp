#include "actors/head/plan_view.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>

#include "scheduler/spec/job_file.hpp"
#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using nlohmann::json;
using scheduler::testing::event;

constexpr std::int64_t kNow = 1'767'225'600'000;  // 2026-01-01T00:00:00Z

JobSubmitted command(const std::string& job, const std::string& more) {
  return {job, "", "job.yaml", "/work", "kind: command\nrun: [x]\nresources: {memory: 1Gi}\n" + more};
}

/// Two nodes of two slots.
class PlanView : public ::testing::Test {
 protected:
  void SetUp() override {
    planner_.set_nodes({{"node-1", 2, 64ULL << 30, true}, {"node-2", 2, 64ULL << 30, true}});
  }
  void apply(Event::Body body) { ASSERT_TRUE(ledger_.apply(event(std::move(body), kNow - 100'000))); }
  void start(const std::string& job, const std::string& more, const std::vector<std::string>& nodes) {
    apply(command(job, more));
    for (const auto& node : nodes)
      apply(LeaseGranted{ledger_.next_worker(), job, node, 1, 1ULL << 30, Role::worker});
    apply(JobStateChanged{job, JobState::starting, ""});
  }
  json plan(const std::string& more, std::vector<std::string> depends_on = {}) {
    for (const std::string& id : ledger_.take_changed())
      planner_.set_job(id, ledger_.demand(*ledger_.find(id), kNow), ledger_.leases_of(id));
    auto submission = command(kDraft, more);
    submission.depends_on = std::move(depends_on);
    const auto before = ledger_.snapshot();
    const auto parsed = parse_job_file(submission.text, submission.directory);
    const auto draft = ledger_.draft(submission, std::get<ParsedJob>(parsed).spec, kNow);
    const auto find_live = [](const std::string&) { return nullptr; };
    const auto answer =
        plan_view(draft, demand_of_draft(draft, ledger_, kNow).value(), ledger_, planner_, find_live, kNow);
    EXPECT_EQ(ledger_.snapshot(), before);
    EXPECT_EQ(answer.dump().find(kDraft), std::string::npos) << answer;
    return answer;
  }

  Ledger ledger_;
  Planner planner_;
};

TEST_F(PlanView, SaysByWhenAJobWithADeadlineStartsAndTheEarliestThatCouldBePromised) {
  JobSpec spec;
  spec.time_limit_ms = 600'000;
  const DeadlinePromised promise{kDraft, kNow + 3'600'000, kNow + 30'000};
  const auto view = promise_view(spec, promise);
  EXPECT_EQ(view.at("deadline_ms"), kNow + 3'600'000);
  EXPECT_EQ(view.at("starts_by_ms"), kNow + 30'000);
  EXPECT_EQ(view.at("earliest_ms"), kNow + 690'000) << "it holds for a minute";
  const auto narrow = promise_view(spec, {kDraft, kNow + 630'000, kNow + 30'000});
  EXPECT_EQ(narrow.at("earliest_ms"), kNow + 630'000) << "it is promised itself";
}

TEST_F(PlanView, SaysWhereAJobThatStartsGoesAndThatItStartsNow) {
  start("other", "workers: 1\n", {"node-1"});
  const auto answer = plan("name: mine\nworkers: {min: 1, max: 3}\n");
  EXPECT_EQ(answer.at("outcome"), "starts");
  EXPECT_EQ(answer.at("placement"),
            (json{{{"node", "node-1"}, {"workers", 1}}, {{"node", "node-2"}, {"workers", 2}}}));
  EXPECT_EQ(answer.at("reasons"), json::array());
  EXPECT_EQ(answer.at("expected_start"),
            (json{{"from", "2026-01-01T00:00:00Z"}, {"to", "2026-01-01T00:00:00Z"}}));
  EXPECT_EQ(answer.at("spec").at("name"), "mine");
  EXPECT_EQ(answer.at("spec").at("restart"), 3);
}

TEST_F(PlanView, SaysWhoWouldShrinkAndWhoWouldBePreempted) {
  start("wide", "workers: {min: 1, max: 3}\n", {"node-1", "node-1", "node-2"});
  start("low", "workers: 1\npriority: low\n", {"node-2"});
  auto answer = plan("workers: 2\n");
  EXPECT_EQ(answer.at("outcome"), "waits");  // until they have gone
  EXPECT_EQ(answer.at("starts_when_room_is_made"), true);
  EXPECT_EQ(answer.at("workers_to_leave"), 2);
  EXPECT_EQ(answer.at("shrinks"), (json{{{"job", "wide"}, {"from", 3}, {"to", 1}}}));
  EXPECT_EQ(answer.at("preemptions"), json::array());
  EXPECT_EQ(answer.at("reasons").at(0).at("code"), "no_capacity_now");
  answer = plan("workers: 3\n");
  EXPECT_EQ(answer.at("shrinks"), (json{{{"job", "wide"}, {"from", 3}, {"to", 1}}}));
  EXPECT_EQ(answer.at("preemptions"), (json{"low"}));
  EXPECT_EQ(answer.at("starts_when_room_is_made"), true);
  EXPECT_EQ(answer.at("workers_to_leave"), 3);
  answer = plan("workers: 4\npriority: low\n");
  EXPECT_EQ(answer.at("outcome"), "waits") << "nobody makes room for it";
  EXPECT_EQ(answer.at("starts_when_room_is_made"), false);
  EXPECT_EQ(answer.at("workers_to_leave"), 0);
}

TEST_F(PlanView, SaysWhoWouldMove) {
  for (const auto& [job, node] : {std::pair("a", "node-1"), std::pair("b", "node-2")}) {
    apply(scheduler::testing::submitted(job));
    apply(LeaseGranted{ledger_.next_worker(), job, node, 1, 2ULL << 30, Role::worker});
  }
  const auto answer = plan("workers: 2\nplacement: same_node\n");
  EXPECT_EQ(answer.at("outcome"), "waits");
  EXPECT_EQ(answer.at("moves"), (json{{{"job", "a"}, {"from", "node-1"}, {"to", "node-2"}}}));
  EXPECT_EQ(answer.at("shrinks"), json::array());
}

TEST_F(PlanView, SaysWhyAJobWaitsAndBetweenWhichMomentsItStarts) {
  start("first", "workers: 4\ntime_limit: 10m\n", {"node-1", "node-1", "node-2", "node-2"});
  const auto answer = plan("workers: 2\n");
  EXPECT_EQ(answer.at("outcome"), "waits");
  EXPECT_EQ(answer.at("placement"), json::array());
  EXPECT_EQ(answer.at("reasons").at(0).at("blocking"), (json{"first"}));
  EXPECT_EQ(answer.at("expected_start").at("from"), "2026-01-01T00:00:00Z");
  EXPECT_FALSE(answer.at("expected_start").at("to").is_null());
}

TEST_F(PlanView, SaysThatAJobMayNotBeginYetThoughThereIsRoom) {
  auto answer = plan("start_after: 2h\n");
  EXPECT_EQ(answer.at("outcome"), "waits");
  EXPECT_EQ(answer.at("reasons").at(0).at("code"), "begin_time");
  EXPECT_EQ(answer.at("expected_start"), (json{{"from", "2026-01-01T02:00:00Z"}, {"to", nullptr}}));
  start("first", "workers: 1\n", {"node-1"});
  answer = plan("", {"first"});
  EXPECT_EQ(answer.at("reasons").at(0).at("code"), "dependency");
  EXPECT_TRUE(answer.at("expected_start").is_null());
}

TEST_F(PlanView, SaysThatAJobCanNeverStartEvenIfItMayNotBeginYet) {
  for (const char* more : {"workers: 5\n", "workers: 5\nstart_after: 2h\n"}) {
    const auto answer = plan(more);
    EXPECT_EQ(answer.at("outcome"), "never") << more;
    EXPECT_EQ(answer.at("reasons").at(0).at("code"), "never_fits");
    EXPECT_TRUE(answer.at("expected_start").is_null());
  }
}

TEST_F(PlanView, SaysThatAJobCanNeverStartThatDependsOnOneThatFailed) {
  start("first", "workers: 1\n", {"node-1"});
  EXPECT_EQ(plan("", {"first"}).at("outcome"), "waits");
  apply(JobStateChanged{"first", JobState::failed, "it crashed"});
  const auto answer = plan("", {"first"});
  EXPECT_EQ(answer.at("outcome"), "never");
  EXPECT_EQ(answer.at("reasons").at(0).at("blocking"), (json{"first"}));
  EXPECT_TRUE(answer.at("expected_start").is_null());
}

}  // namespace
}  // namespace ds::head
