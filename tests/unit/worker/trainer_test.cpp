#include "actors/worker/trainer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tests/unit/train/server_job.hpp"

namespace ds::worker {
namespace {

/// A trainer of jobs without shards or audit, whose end of a generation can be waited for.
class Watched {
 public:
  explicit Watched(const scheduler::JobSpec& spec) : trainer_(events(), {}) { trainer_.assign(spec); }

  /// Runs a generation that seeds these servers, until it gets stuck.
  void train_until_stuck(std::uint64_t generation, std::shared_ptr<parameters::Link> servers) {
    TrainerPlace place;
    place.generation = generation;
    place.servers = std::move(servers);
    place.seed = true;
    trainer_.join(std::move(place));
    trainer_.start(generation);
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60),
                                  [&] { return stuck_ == generation || !impossible_.empty(); }));
    ASSERT_EQ(impossible_, "");
  }

  std::uint64_t step() const { return trainer_.position().step; }

 private:
  TrainerEvents events() {
    TrainerEvents events;
    events.on_ready = [](std::uint64_t, std::uint64_t) {};
    events.on_impossible = [this](const Error& why) {
      std::lock_guard lock(mutex_);
      impossible_ = why.message;
      changed_.notify_all();
    };
    events.on_paused = [](std::uint64_t, std::uint64_t) {};
    events.on_joined = [](std::uint64_t) {};
    events.on_stuck = [this](std::uint64_t generation, std::uint64_t, const Error&) {
      std::lock_guard lock(mutex_);
      stuck_ = generation;
      changed_.notify_all();
    };
    events.on_step = [](std::uint64_t, const train::StepResult&) {};
    events.on_evaluated = [](std::uint64_t, const train::EvaluationResult&) {};
    events.on_checkpoint = [](std::uint64_t, train::StateImage, std::map<std::string, double>, bool) {};
    return events;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t stuck_ = 0;
  std::string impossible_;
  Trainer trainer_;  // last: its thread uses the others
};

class TrainerWithServers : public train::ServerJob {};

TEST_F(TrainerWithServers, BeginsAnewWithTheFirstParametersThoughItsOwnStepWasZero) {
  const scheduler::JobSpec spec = with_servers(job(), "async");
  const auto lost = servers_for(spec, 2), servers = servers_for(spec, 2);
  Watched trainer(spec);
  // It sets the servers, pulls, makes the first rank's share, pulls that for the second's, and pushes half.
  trainer.train_until_stuck(1, lost->link_that_dies(6));
  EXPECT_EQ(trainer.step(), 0U);
  EXPECT_EQ(lost->updates(1), 1U);
  trainer.train_until_stuck(2, servers->link_that_dies(3));
  const auto fresh = servers_for(spec, 2);
  ASSERT_TRUE(open(spec)->use_servers(fresh->link(), true));
  EXPECT_EQ(servers->parameters(), fresh->parameters());
  EXPECT_NE(servers->parameters(), lost->parameters());
}

}  // namespace
}  // namespace ds::worker
