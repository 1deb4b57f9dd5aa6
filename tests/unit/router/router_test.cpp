#include "actors/router/router.hpp"

#include <gtest/gtest.h>

#include <caf/all.hpp>
#include <future>
#include <limits>
#include <thread>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/registration.hpp"
#include "actors/messages/serving.hpp"

namespace ds::router {
namespace {

using Outcome = tl::expected<Answer, Failure>;

constexpr std::chrono::seconds kLong{60};

struct Configuration : caf::actor_system_config {
  Configuration() {
    fabric::configure(*this);
    messages::register_messages(*this);
  }
};

/// Stands where another process's replica does: takes requests, and answers, or not.
caf::behavior answer_at_once(caf::event_based_actor*) {
  return {[](const messages::InferCall& call) {
    messages::InferAnswer answer;
    answer.outputs = call.inputs;
    return answer;
  }};
}
caf::behavior answer_never(caf::event_based_actor* self) {
  return {[self](const messages::InferCall&) {
    auto promise = self->make_response_promise();
    return promise;  // the actor's own end fulfils it
  }};
}
/// Ends at its first request, as a process that is killed.
caf::behavior die(caf::event_based_actor* self) {
  return {[self](const messages::InferCall&) {
    auto promise = self->make_response_promise();
    self->quit(caf::exit_reason::kill);
    return promise;
  }};
}

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() : system_(config_), router_(system_) {}
  ~RouterTest() override {
    router_.remove_endpoint("job-1");
    for (const auto& actor : actors_) caf::anon_send_exit(actor, caf::exit_reason::kill);
  }

  void serve(std::chrono::milliseconds timeout) {
    router_.set_endpoint({"model", "job-1", "default", 1, 10, 1 << 20, timeout});
  }
  void add(std::uint64_t worker, caf::behavior (*replica)(caf::event_based_actor*)) {
    actors_.push_back(caf::actor_cast<caf::actor>(system_.spawn(replica)));
    serving::ModelMetadata model;
    model.name = "model";
    model.max_batch_size = 4;
    model.inputs.push_back({"x", serving::Datatype::uint8, {-1, 1}});
    router_.add_replica("job-1", worker, actors_.back(), model);
  }
  std::future<Outcome> ask(std::uint64_t timeout_us = 0) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    Ask one;
    one.model = "model";
    one.request.inputs.push_back({"x", serving::Datatype::uint8, {1, 1}, Buffer::copy_of("a")});
    one.request.timeout_us = timeout_us;
    one.arrived = std::chrono::steady_clock::now();
    one.done = [promise](Outcome outcome) { promise->set_value(std::move(outcome)); };
    router_.ask(std::move(one));
    return promise->get_future();
  }
  std::uint32_t ready() const {
    const auto view = router_.find("model");
    return view ? view->ready : 0;
  }
  /// Until the router has seen that no replica is left.
  bool is_alone() const {
    const auto end = std::chrono::steady_clock::now() + kLong;
    while (ready() != 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return ready() == 0;
  }

  Configuration config_;
  caf::actor_system system_;
  Router router_;
  std::vector<caf::actor> actors_;
};

TEST_F(RouterTest, SendsARequestToTheReplicaThatItLostOnceThatIsBack) {
  serve(kLong);
  add(1, die);
  while (ready() == 0) std::this_thread::yield();
  auto answer = ask();
  ASSERT_TRUE(is_alone());
  add(1, answer_at_once);
  ASSERT_EQ(answer.wait_for(kLong / 2), std::future_status::ready) << "it waits for another";
  const auto outcome = answer.get();
  ASSERT_TRUE(outcome) << outcome.error().error.message;
  EXPECT_EQ(outcome->outputs.at(0).bytes.text(), "a");
}

TEST_F(RouterTest, AsksNoMoreThanSoManyTimes) {
  serve(kLong);
  for (std::uint64_t worker = 1; worker <= Router::kMostTries + 1; ++worker) add(worker, die);
  auto answer = ask();
  ASSERT_EQ(answer.wait_for(kLong / 2), std::future_status::ready);
  const auto outcome = answer.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().error.code, ErrorCode::unavailable);
  EXPECT_EQ(ready(), 1U) << "one was left";
}

TEST_F(RouterTest, TellsThatTheTimeoutIsOverWhenAReplicaSaysNothing) {
  serve(std::chrono::milliseconds(200));
  add(1, answer_never);
  auto answer = ask();
  ASSERT_EQ(answer.wait_for(kLong), std::future_status::ready);
  const auto outcome = answer.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().error.code, ErrorCode::deadline_exceeded) << outcome.error().error.message;
}

TEST_F(RouterTest, GivesARequestThatWantsMoreTimeThanThereIsTheJobsTimeout) {
  serve(kLong);
  add(1, answer_at_once);
  for (const auto timeout : {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63U,
                             std::numeric_limits<std::uint64_t>::max() / 1000 + 1}) {
    const auto outcome = ask(timeout).get();
    EXPECT_TRUE(outcome) << timeout << ": " << outcome.error().error.message;
  }
}

}  // namespace
}  // namespace ds::router
