// Requests whose replicas die while they have them: tried again, or refused, by how the processes ended.
#include <gtest/gtest.h>

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/all.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/serving.hpp"
#include "actors/router/inquest.hpp"
#include "actors/router/router.hpp"
#include "tests/unit/router/comes_true.hpp"

namespace ds::router {
namespace {

using namespace std::chrono_literals;
using Clock = Inquest::Clock;

JourneyPtr a_journey(Clock::time_point deadline) {
  auto journey = std::make_shared<Journey>();
  journey->deadline = deadline;
  return journey;
}

TEST(Inquests, LetRequestsWaitUntilItIsKnownHowTheirReplicaEnded) {
  Inquest inquest;
  const Clock::time_point now{1h};
  const auto first = a_journey(now + 1min), second = a_journey(now + 1min), other = a_journey(now + 1min);
  EXPECT_EQ(inquest.ask(first, 7, now), std::nullopt);
  EXPECT_EQ(inquest.ask(other, 8, now), std::nullopt);
  EXPECT_EQ(inquest.ask(second, 7, now), std::nullopt);
  EXPECT_EQ(inquest.tell(7, true), (std::vector{first, second}));
  EXPECT_EQ(inquest.ask(first, 7, now), true) << "it has been told";
  EXPECT_TRUE(inquest.tell(9, false).empty());
  EXPECT_EQ(inquest.ask(first, 9, now), false);
  EXPECT_EQ(inquest.tell(8, false), std::vector{other});
  EXPECT_TRUE(inquest.empty());
}

TEST(Inquests, EndWithTheRequestsTimeoutOrSoon) {
  Inquest inquest;
  const Clock::time_point now{1h};
  const auto hasty = a_journey(now + 1s), patient = a_journey(now + 1min);
  inquest.ask(patient, 7, now);
  inquest.ask(hasty, 7, now);
  EXPECT_TRUE(inquest.take_late(now + 999ms).empty());
  auto late = inquest.take_late(now + 1s);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late.front().journey, hasty);
  late = inquest.take_late(now + Inquest::kLongest);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late.front().journey, patient);
  EXPECT_TRUE(inquest.tell(7, true).empty());
}

TEST(Inquests, LetGoOfRequestsWhoseReplicaIsBackAndOfThoseThatNobodyWaitsFor) {
  Inquest inquest;
  const Clock::time_point now{1h};
  const auto back = a_journey(now + 1min), gone = a_journey(now + 1min), removed = a_journey(now + 1min);
  back->job = gone->job = "stays";
  removed->job = "ends";
  inquest.ask(back, 7, now);
  inquest.ask(gone, 8, now);
  inquest.ask(removed, 8, now);
  const auto of_seven = inquest.take_of(7);
  ASSERT_EQ(of_seven.size(), 1U);
  EXPECT_EQ(of_seven.front().journey, back);
  EXPECT_TRUE(inquest.remove(gone));
  EXPECT_FALSE(inquest.remove(gone));
  const auto of_job = inquest.take_of("ends");
  ASSERT_EQ(of_job.size(), 1U);
  EXPECT_EQ(of_job.front().journey, removed);
  EXPECT_TRUE(inquest.empty());
}

TEST(Inquests, ForgetTheOldestReplicas) {
  Inquest inquest;
  for (std::uint64_t worker = 1; worker <= Inquest::kMostEnds + 1; ++worker) inquest.tell(worker, true);
  EXPECT_EQ(inquest.ask(a_journey({}), 1, {}), std::nullopt);
  EXPECT_EQ(inquest.ask(a_journey({}), 2, {}), true);
  inquest.tell(1, true);  // it has lived long
  EXPECT_EQ(inquest.ask(a_journey({}), 1, {}), true);
  EXPECT_EQ(inquest.ask(a_journey({}), 2, {}), std::nullopt);
}

struct Config : caf::actor_system_config {
  Config() { fabric::configure(*this); }
};

/// A doomed one ends, without an answer, when it has a request: one that is to run alone once the router has
/// heard of it. Any other answers.
caf::behavior act_as_replica(caf::event_based_actor* self, bool is_doomed, std::atomic<int>* ends) {
  const auto end = [self, ends] {
    ++*ends;
    self->quit();
  };
  return {[self, is_doomed, end](const messages::InferCalls& calls) {
    const auto router = caf::actor_cast<caf::actor>(self->current_sender());
    const auto& call = calls.calls.front();
    if (is_doomed && !call.alone) return end();
    self->request(router, caf::infinite, messages::BeginInfer{call.number})
        .then([self, router, is_doomed, end, number = call.number](const messages::InferBegun&) {
          if (is_doomed) return end();
          messages::InferAnswer answer;
          answer.number = number;
          answer.batch_wait_ns = 5'000;
          self->send(router, messages::InferAnswers{{answer}});
        });
  }};
}

class Suspects : public ::testing::Test {
 protected:
  using Outcome = tl::expected<Answer, Failure>;

  Suspects() {
    router_.set_endpoint({"answers", "job", 100, 1 << 20, 60s});
    EXPECT_TRUE(comes_true([this] { return router_.find("answers").has_value(); }));
  }
  ~Suspects() override {
    router_.remove_endpoint("job");
    EXPECT_TRUE(comes_true([this] { return !router_.find("answers"); }));
  }

  std::future<Outcome> ask() {
    const auto promise = std::make_shared<std::promise<Outcome>>();
    std::vector<Ask> asks(1);
    asks.front().model = "answers";
    asks.front().arrived = Clock::now();
    asks.front().done = [promise](Outcome outcome) { promise->set_value(std::move(outcome)); };
    router_.ask(std::move(asks));
    return promise->get_future();
  }
  void add(std::uint64_t worker, bool is_doomed) {
    router_.add_replica("job", worker, system_.spawn(act_as_replica, is_doomed, &ends_), 1, {});
  }
  /// It takes the request that is under way, and dies of it.
  void add_doomed(std::uint64_t worker) {
    const int ends = ends_;
    add(worker, true);
    EXPECT_TRUE(comes_true([&] { return ends_ > ends && router_.find("answers")->ready == 0; })) << worker;
  }
  static bool is_under_way(const std::future<Outcome>& one) {
    return one.wait_for(0s) != std::future_status::ready;
  }

  std::atomic<int> ends_{0};  ///< of doomed replicas
  Config config_;
  caf::actor_system system_{config_};
  Router router_{system_};
};

TEST_F(Suspects, AreTriedAgainWhereSomethingOutsideHasEndedTheReplicaThatRanThemAlone) {
  auto asked = ask();
  for (std::uint64_t worker = 1; worker <= 3; ++worker) {
    add_doomed(worker);
    router_.remove_replica("job", worker, false);
    EXPECT_TRUE(is_under_way(asked)) << worker;
  }
  add(4, false);
  const auto outcome = asked.get();
  ASSERT_TRUE(outcome) << outcome.error().error.message;
  EXPECT_GT(outcome->times[serving::Stage::queue], 0U) << "it has waited for replicas";
  EXPECT_EQ(outcome->times[serving::Stage::batch_wait], 5'000U);
}

/// Its connection broke while it ran the request alone; its process has not ended.
TEST_F(Suspects, AreGivenToTheirReplicaAgainWhenItIsBack) {
  auto asked = ask();
  add_doomed(1);
  router_.remove_replica("job", 1, false);
  add_doomed(2);
  EXPECT_TRUE(is_under_way(asked)) << "nobody knows yet how it ended";
  add(2, false);
  const auto outcome = asked.get();
  EXPECT_TRUE(outcome) << outcome.error().error.message;
}

TEST_F(Suspects, MayComeAgainLaterOnceAllTheirTriesWereEndedFromOutside) {
  auto asked = ask();
  for (std::uint64_t worker = 1; worker <= Router::kMostTries; ++worker) {
    add_doomed(worker);
    router_.remove_replica("job", worker, false);
  }
  const auto outcome = asked.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().error.code, ErrorCode::unavailable) << outcome.error().error.message;
  EXPECT_GT(outcome.error().retry_after_ms, 0U);
}

TEST_F(Suspects, AreRefusedWhereTheReplicaThatRanThemAloneHasCrashed) {
  auto asked = ask();
  add_doomed(1);
  router_.remove_replica("job", 1, true);
  EXPECT_TRUE(is_under_way(asked)) << "it may have been of another";
  add_doomed(2);
  router_.remove_replica("job", 2, true);
  const auto outcome = asked.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().error.code, ErrorCode::internal);
  EXPECT_NE(outcome.error().error.message.find("two replicas died"), std::string::npos)
      << outcome.error().error.message;
}

}  // namespace
}  // namespace ds::router
