#include "actors/head/deadline_offer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "actors/head/plan_view.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/spec/scalars.hpp"
#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using scheduler::testing::event;
using scheduler::testing::submitted;

constexpr std::int64_t kNow = 1'000'000'000'000;

class DeadlineOffer : public ::testing::Test {
 protected:
  JobRecord draft(const std::string& deadline) {
    auto submission = submitted("draft");
    if (!file_.empty()) submission.text = file_;
    submission.text += "time_limit: 10m\ndeadline: " + deadline + "\n";
    Ledger other;
    EXPECT_TRUE(other.apply(event(std::move(submission), kNow)));
    JobRecord made = *other.find("draft");
    made.order = ledger_.jobs().size() + 1;  // the newest, as the head makes it
    return made;
  }
  auto offer(const std::string& deadline, std::optional<std::int64_t> starts_ms) {
    return offer_deadline(draft(deadline), starts_ms, ledger_, kNow);
  }
  std::string refusal(const std::string& deadline, std::optional<std::int64_t> starts_ms) {
    const auto offered = offer(deadline, starts_ms);
    const auto* refused = std::get_if<DeadlineRefused>(&offered);
    return refused == nullptr ? "accepted" : refused->why + " | " + refused->hint;
  }
  void run(const std::string& job, const std::string& more) {
    auto submission = submitted(job);
    submission.text += more;
    ASSERT_TRUE(ledger_.apply(event(std::move(submission))));
    ASSERT_TRUE(ledger_.apply(event(LeaseGranted{ledger_.next_worker(), job, "n", 1, 0})));
    ASSERT_TRUE(ledger_.apply(event(JobStateChanged{job, JobState::starting, ""})));
  }

  Ledger ledger_;
  std::string file_;  ///< of the draft; empty: one like those that run
};

TEST_F(DeadlineOffer, IsTheStartAndTheTimeLimitWithAMargin) {
  const auto least_ms = 600'000 + kPromiseMarginMs;
  const auto offered = offer(std::to_string(least_ms) + "ms", kNow);
  ASSERT_TRUE(std::holds_alternative<DeadlinePromised>(offered));
  EXPECT_EQ(std::get<DeadlinePromised>(offered),
            (DeadlinePromised{"draft", kNow + least_ms, kNow + kPromiseMarginMs}));
  EXPECT_NE(refusal(std::to_string(least_ms - 1) + "ms", kNow), "accepted");
  EXPECT_NE(refusal(std::to_string(least_ms) + "ms", kNow + 1), "accepted");
}

TEST_F(DeadlineOffer, NamesTheEarliestThatIsAcceptedForAMinuteFromNow) {
  const auto text = refusal("11m", kNow + 120'000);
  const auto at = text.find("deadline: 20");
  ASSERT_NE(at, std::string::npos) << text;
  const auto earliest = text.substr(at + 10, 20);
  EXPECT_EQ(refusal(earliest, kNow + 120'000), "accepted") << text;
  EXPECT_EQ(refusal(earliest, kNow + 120'000 + kOfferLastsMs), "accepted") << text;
  EXPECT_NE(text.find("may run for 600 s"), std::string::npos) << text;
  const auto starts_by_ms = kNow + 120'000 + kPromiseMarginMs;
  EXPECT_EQ(to_time_text(earliest_deadline_ms(600'000, starts_by_ms)), earliest);
}

TEST_F(DeadlineOffer, ThatIsRefusedIsAConflictOrIsTriedAgainWhereTheHeadDoesNotKnowYet) {
  const auto answer = [](bool may_pass) { return to_response({"why", "hint", may_pass}); };
  EXPECT_EQ(answer(false).status, 409);
  EXPECT_EQ(answer(true).status, 503);
  EXPECT_EQ(nlohmann::json::parse(answer(false).body).at("error"),
            nlohmann::json({{"code", "unplaceable"}, {"message", "why"}, {"hint", "hint"}}));
  EXPECT_EQ(nlohmann::json::parse(answer(true).body).at("error").at("code"), "unavailable");
}

TEST_F(DeadlineOffer, IsNotSaidToAResumedJobWithAHintForSubmissionsOrAnEarliestDeadline) {
  EXPECT_NE(not_renewed_text({"why", "hint", false, true}).find("it goes on, but why; hint;"),
            std::string::npos);
  const auto text_of = [&](const std::string& deadline, std::optional<std::int64_t> starts_ms) {
    return not_renewed_text(std::get<DeadlineRefused>(offer(deadline, starts_ms)));
  };
  const auto late = text_of("11m", kNow + 120'000);
  EXPECT_NE(
      late.find("it goes on, but its deadline 2001-09-09T01:57:40Z cannot be promised: it starts by "
                "2001-09-09T01:49:10Z for certain and may run for 600 s; for another deadline cancel it"),
      std::string::npos)
      << late;
  EXPECT_EQ(late.find("within a minute"), std::string::npos) << late;
  run("endless", "");
  const auto unknown = text_of("9h", std::nullopt);
  EXPECT_NE(
      unknown.find("it goes on, but no deadline can be promised now: nobody knows when there is room for "
                   "it, since these have no time_limit: endless; for another deadline cancel it"),
      std::string::npos)
      << unknown;
}

/// The demand of one that its time limit has stopped is none, whatever its owner asks for.
TEST_F(DeadlineOffer, OfAJobThatIsResumedIsRefusedWhereItIsEndingOrWaitsAfterACrash) {
  auto submission = submitted("first");
  submission.text += "time_limit: 10m\ndeadline: 2h\n";
  ASSERT_TRUE(ledger_.apply(event(std::move(submission), kNow)));
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"first", kNow + 7'200'000, kNow}, kNow)));
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{1, "first", "n", 1, 0}, kNow)));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"first", JobState::starting, ""}, kNow)));
  const auto refusal_at = [&](std::int64_t now_ms) {
    auto resumed = *ledger_.find("first");
    resumed.pause_requested = false;
    resumed.state = JobState::queued;
    const auto refused = refuse_kept_back(demand_of_draft(resumed, ledger_, now_ms));
    return refused ? not_renewed_text(*refused) : std::string();
  };
  EXPECT_EQ(refusal_at(kNow), "");
  ASSERT_TRUE(ledger_.apply(event(WorkerCrashed{"first", 1, 1, kNow + 60'000}, kNow + 1000)));
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{1}, kNow + 1000)));
  ASSERT_TRUE(ledger_.apply(event(PauseRequested{"first"}, kNow + 1000)));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"first", JobState::paused, ""}, kNow + 1000)));
  EXPECT_TRUE(ledger_.find("first")->has_given_promise_up());
  EXPECT_NE(
      refusal_at(kNow + 59'999)
          .find("it goes on, but no deadline can be promised now: it has crashed, and waits until "
                "2001-09-09T01:47:40Z before it is tried again; pause it, and resume it then to ask again"),
      std::string::npos)
      << refusal_at(kNow + 59'999);
  EXPECT_EQ(refusal_at(kNow + 60'000), "");
  ASSERT_TRUE(ledger_.apply(event(TimeLimitReached{"first"}, kNow + 61'000)));
  EXPECT_NE(refusal_at(kNow + 61'000).find("it is ending"), std::string::npos);
  EXPECT_FALSE(ledger_.find("first")->has_given_promise_up()) << "so nobody asks";
}

/// A program begins anew; what trains goes on.
TEST_F(DeadlineOffer, OfAJobThatHasRunIsByWhatIsLeftOfItsTimeLimit) {
  auto job = draft(std::to_string(400'000 + kPromiseMarginMs) + "ms");
  EXPECT_TRUE(std::holds_alternative<DeadlineRefused>(offer_deadline(job, kNow, ledger_, kNow)));
  job.ran_before_ms = 200'000;
  EXPECT_TRUE(std::holds_alternative<DeadlinePromised>(offer_deadline(job, kNow, ledger_, kNow)));
  const auto refused = offer_deadline(job, kNow + 1, ledger_, kNow);
  ASSERT_TRUE(std::holds_alternative<DeadlineRefused>(refused));
  EXPECT_NE(std::get<DeadlineRefused>(refused).why.find("may run for 400 s"), std::string::npos);
  EXPECT_EQ(refuse_hopeless(job, kNow + kPromiseMarginMs), std::nullopt);
  EXPECT_NE(refuse_hopeless(job, kNow + kPromiseMarginMs + 1), std::nullopt);
}

TEST_F(DeadlineOffer, OfAJobThatIsResumedIsRefusedWhereItWouldComeBeforeOneThatWasPromisedItsStart) {
  auto resumed = draft("9h");
  ASSERT_TRUE(ledger_.apply(event(submitted("first"))));
  ASSERT_TRUE(ledger_.apply(event(submitted("second"))));
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"second", kNow + 9000, kNow})));
  resumed.order = ledger_.find("first")->order;
  const auto text = [&] {
    const auto offered = offer_deadline(resumed, kNow, ledger_, kNow);
    const auto* refused = std::get_if<DeadlineRefused>(&offered);
    return refused == nullptr ? std::string() : not_renewed_text(*refused);
  };
  EXPECT_NE(text().find("job second was promised its start by 2001-09-09T01:46:40Z meanwhile"),
            std::string::npos)
      << text();
  EXPECT_NE(text().find("it goes on, but no deadline can be promised now: job second"), std::string::npos)
      << text();
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{1, "second", "n", 1, 0})));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"second", JobState::starting, ""})));
  EXPECT_EQ(text(), "") << "it has started";
}

TEST_F(DeadlineOffer, OfAPausedJobIsSaidToBeGoneAndHowAnotherIsHad) {
  ASSERT_TRUE(ledger_.apply(event(submitted("first"))));
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"first", kNow, kNow})));
  ASSERT_TRUE(ledger_.apply(event(PauseRequested{"first"})));
  const auto text = given_up_text(*ledger_.find("first"));
  EXPECT_NE(text.find("its deadline 2001-09-09T01:46:40Z is promised no more"), std::string::npos) << text;
  EXPECT_NE(text.find("when it is resumed that is asked for again"), std::string::npos) << text;
  ASSERT_TRUE(ledger_.apply(event(ResumeRequested{"first"})));
  const auto resumed = given_up_text(*ledger_.find("first"));
  EXPECT_NE(resumed.find("was not promised again when it was resumed; pause and resume it to ask once more"),
            std::string::npos)
      << resumed;
}

TEST_F(DeadlineOffer, SaysWhyThereIsNone) {
  run("limited", "time_limit: 1h\n");
  EXPECT_NE(refusal("9h", std::nullopt).find("nobody knows when there is room"), std::string::npos);
  ASSERT_TRUE(ledger_.apply(event(submitted("first"))));
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"first", kNow + 9000, kNow})));
  EXPECT_NE(refusal("9h", std::nullopt).find("behind job first, which waits for what it was promised"),
            std::string::npos);
  run("endless", "");
  const auto text = refusal("9h", std::nullopt);
  EXPECT_NE(text.find("these have no time_limit: endless |"), std::string::npos) << text;
  auto urgent = submitted("urgent");
  urgent.text += "priority: high\n";
  ASSERT_TRUE(ledger_.apply(event(std::move(urgent))));
  EXPECT_NE(refusal("9h", std::nullopt).find("job urgent waits and is more urgent"), std::string::npos);
  ASSERT_TRUE(ledger_.apply(event(CancelRequested{"urgent"})));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"urgent", JobState::cancelled, ""})));
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{ledger_.next_worker(), "first", "n", 1, 0})));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"first", JobState::starting, ""})));
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{ledger_.next_worker() - 1})));
  EXPECT_NE(refusal("9h", kNow).find("job first has crashed"), std::string::npos);
}

TEST_F(DeadlineOffer, SaysThatTooManyWaitForWhatTheyWerePromised) {
  for (std::size_t i = 0; i < kMaxWaitingPromises; ++i) {
    const std::string job = "waits-" + std::to_string(i);
    ASSERT_TRUE(ledger_.apply(event(submitted(job))));
    ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{job, kNow + 9000, kNow})));
  }
  EXPECT_NE(refusal("9h", std::nullopt).find("16 jobs wait for what they were promised"), std::string::npos);
}

TEST_F(DeadlineOffer, SaysAmongTenantsWhoWaitsForWhatItWasPromised) {
  ASSERT_TRUE(
      ledger_.apply(event(TenantsChanged{"version: 1\ntenants: {default: {guaranteed: 2}}\n", true})));
  ASSERT_TRUE(ledger_.apply(event(submitted("first"))));
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"first", kNow + 9000, kNow})));
  EXPECT_NE(refusal("9h", std::nullopt).find("where tenants share the cluster one waits so at a time"),
            std::string::npos);
}

TEST_F(DeadlineOffer, SaysAmongTenantsWhatItsQueueIsGuaranteed) {
  ASSERT_TRUE(
      ledger_.apply(event(TenantsChanged{"version: 1\ntenants: {default: {guaranteed: 0}}\n", true})));
  EXPECT_EQ(refusal("9h", kNow + 1), "accepted");
  const auto more = refusal("9h", std::nullopt);
  EXPECT_NE(more.find("its minimum of 1 slot is more than what its queue default is guaranteed, 0 slots"),
            std::string::npos)
      << more;
  ASSERT_TRUE(
      ledger_.apply(event(TenantsChanged{"version: 1\ntenants: {default: {guaranteed: 2}}\n", false})));
  EXPECT_NE(refusal("9h", std::nullopt).find("nobody knows when it has its minimum within"),
            std::string::npos);
  run("endless", "");
  const auto text = refusal("9h", std::nullopt);
  EXPECT_NE(text.find("no time_limit and need not give way to it: endless |"), std::string::npos) << text;
}

TEST_F(DeadlineOffer, SaysAmongTenantsWhatGpusItsQueueIsGuaranteed) {
  file_ = "version: 1\nkind: command\nrun: [x]\nresources: {gpu: 2}\n";
  const auto use = [&](const std::string& queue) {
    return ledger_.apply(event(TenantsChanged{"version: 1\ntenants: {default: {guaranteed: 1" + queue +
                                                  "}, b: {guaranteed: 1, guaranteed_gpus: 1}}\n",
                                              false}));
  };
  ASSERT_TRUE(use(", guaranteed_gpus: 1"));
  const auto more = refusal("9h", std::nullopt);
  EXPECT_NE(more.find("its minimum of 1 slot and 2 GPUs is more than what its queue default is guaranteed, 1 "
                      "slot and 1 GPU"),
            std::string::npos)
      << more;
  ASSERT_TRUE(use(", guaranteed_gpus: 2"));
  EXPECT_NE(refusal("9h", std::nullopt).find("nobody knows when it has its minimum within"),
            std::string::npos);
}

TEST_F(DeadlineOffer, SaysOfADeadlineThatNoClusterCouldKeepWhatIsWrongWithIt) {
  const auto refusal_of = [&](const std::string& deadline) -> std::string {
    const auto refused = refuse_hopeless(draft(deadline), kNow);
    return refused ? refused->why : "";
  };
  EXPECT_EQ(refusal_of("2001-09-09T01:46:39Z"), "its deadline 2001-09-09T01:46:39Z has passed");
  EXPECT_EQ(refusal_of("599s"),
            "its deadline 2001-09-09T01:56:39Z is in 599 s, and it may run for 600 s (time_limit)");
  EXPECT_EQ(refusal_of("600s"), "");
}

TEST_F(DeadlineOffer, SaysOfAJobThatCannotStartWhyNot) {
  const auto refusal_of = [](const Reason& reason) -> std::string {
    const auto refused = refuse_unfit(std::vector<Reason>{reason});
    return refused ? refused->why : "";
  };
  EXPECT_EQ(refusal_of({"never_fits", "needs 16 workers", {}}),
            "no deadline can be promised: it needs 16 workers");
  EXPECT_EQ(refusal_of({"drain", "needs 4 workers", {}}),
            "no deadline can be promised now: it needs 4 workers");
  EXPECT_EQ(refusal_of({"no_capacity_now", "needs 4 workers", {"a"}}), "");
}

TEST_F(DeadlineOffer, IsAtRiskOnceItsStartHasPassedOrTheNodesHaveNoRoom) {
  ASSERT_TRUE(ledger_.apply(event(submitted("first"))));
  const JobRecord& job = *ledger_.find("first");
  const std::vector<Reason> waits{{"no_capacity_now", "", {}}}, lacks{{"drain", "", {}}};
  EXPECT_FALSE(is_promise_at_risk(job, lacks, kNow)) << "it has none";
  ASSERT_TRUE(ledger_.apply(event(DeadlinePromised{"first", kNow + 9000, kNow})));
  EXPECT_FALSE(is_promise_at_risk(job, waits, kNow));
  EXPECT_TRUE(is_promise_at_risk(job, lacks, kNow));
  EXPECT_TRUE(is_promise_at_risk(job, waits, kNow + 1));
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{1, "first", "n", 1, 0})));
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"first", JobState::starting, ""})));
  EXPECT_FALSE(is_promise_at_risk(job, {}, kNow + 1)) << "it has started";
}

}  // namespace
}  // namespace ds::head
