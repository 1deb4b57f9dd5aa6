#include "actors/worker/trainer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

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
    events.on_failed = [](const Error&) {};
    events.on_impossible = [this](const Error& why) {
      std::lock_guard lock(mutex_);
      impossible_ = why.message;
      changed_.notify_all();
    };
    events.on_paused = [](std::uint64_t, std::uint64_t) {};
    events.on_joined = [](std::uint64_t, std::uint64_t) {};
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

/// A trainer of a gang of one, whose news are kept in the order they came.
class Alone {
 public:
  /// `on_step` is called on the trainer's thread, like the events.
  Alone(const scheduler::JobSpec& spec, std::function<void(Trainer&, std::uint64_t step)> on_step)
      : on_step_(std::move(on_step)), trainer_(events(), {}) {
    trainer_.assign(spec);
  }

  void train(std::uint64_t generation) {
    TrainerPlace place;
    place.generation = generation;
    trainer_.join(std::move(place));
    trainer_.start(generation);
  }

  bool wait_for(const std::string& news) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return std::ranges::find(news_, news) != news_.end(); });
  }

  bool wait_for_begin(const std::string& news) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      return std::ranges::any_of(news_, [&](const std::string& one) { return one.starts_with(news); });
    });
  }

  std::vector<std::string> news() {
    std::lock_guard lock(mutex_);
    return news_;
  }

  Trainer& trainer() { return trainer_; }

 private:
  void tell(std::string one) {
    std::lock_guard lock(mutex_);
    news_.push_back(std::move(one));
    changed_.notify_all();
  }

  TrainerEvents events() {
    TrainerEvents events;
    events.on_ready = [this](std::uint64_t, std::uint64_t) { tell("ready"); };
    events.on_impossible = [this](const Error& why) { tell("impossible: " + why.message); };
    events.on_failed = [this](const Error& why) { tell("failed: " + why.message); };
    events.on_paused = [this](std::uint64_t, std::uint64_t step) { tell(fmt::format("paused at {}", step)); };
    events.on_joined = [](std::uint64_t, std::uint64_t) {};
    events.on_stuck = [this](std::uint64_t, std::uint64_t, const Error& why) {
      tell("stuck: " + why.message);
    };
    events.on_step = [this](std::uint64_t, const train::StepResult& result) {
      tell(fmt::format("step {}", result.step));
      if (on_step_) on_step_(trainer_, result.step);
    };
    events.on_evaluated = [this](std::uint64_t, const train::EvaluationResult& result) {
      tell(fmt::format("evaluated {}", result.loss));
    };
    events.on_checkpoint = [](std::uint64_t, train::StateImage, std::map<std::string, double>, bool) {};
    return events;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> news_;
  std::function<void(Trainer&, std::uint64_t)> on_step_;
  Trainer trainer_;  // last: its thread uses the others
};

class TrainerAlone : public train::TrainingJob {};

TEST_F(TrainerAlone, GivesAnEvaluationUpThatIsPausedAndMakesItInTheNextGeneration) {
  scheduler::JobSpec spec = job();
  spec.validate.every_steps = 1;
  spec.until.steps = 2;
  Alone undisturbed(spec, {});
  undisturbed.train(1);
  ASSERT_TRUE(undisturbed.wait_for("step 2"));
  Alone paused(spec, [](Trainer& trainer, std::uint64_t step) {
    if (step == 1) trainer.pause(2);  // the evaluation of the first step comes next
  });
  paused.train(1);
  ASSERT_TRUE(paused.wait_for("paused at 1"));
  EXPECT_GT(paused.trainer().position().longest_piece.count(), 0);
  EXPECT_FALSE(paused.trainer().position().computing);
  paused.train(3);
  ASSERT_TRUE(paused.wait_for("step 2"));
  const auto expected = undisturbed.news();
  ASSERT_GE(expected.size(), 4U);
  const std::vector<std::string> news = paused.news();
  ASSERT_GE(news.size(), 5U);
  EXPECT_EQ(news[1], "step 1");
  EXPECT_EQ(news[2], "paused at 1") << "the pause waited for the evaluation";
  EXPECT_EQ(news[3], expected[2]) << "the evaluation that was made again is another one";
  EXPECT_EQ(news[4], "step 2");
}

TEST_F(TrainerAlone, SaysThatAnotherTryMayHelpUnlessTheJobIsWrong) {
  scheduler::JobSpec missing = job();
  missing.data.train.paths = {(folder_ / "missing.csv").string()};
  Alone without_file(missing, {});
  EXPECT_TRUE(without_file.wait_for_begin("failed: ")) << "a file system may be back later";
  EXPECT_NE(without_file.news().back().find("missing.csv"), std::string::npos) << without_file.news().back();
  scheduler::JobSpec wrong = job();
  wrong.data.train = csv(write("train.csv", sentences(20, 1)), "no such column");
  Alone with_wrong_column(wrong, {});
  EXPECT_TRUE(with_wrong_column.wait_for_begin("impossible: "));
}

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
