#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "tests/unit/train/server_job.hpp"

namespace ds::train {
namespace {

/// Waits for `reached`, with a generous deadline.
template <class Reached>
bool wait_until(Reached&& reached) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!reached()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

class FreeTraining : public ServerJob {
 protected:
  scheduler::JobSpec free_job(const std::string& consistency, std::size_t rows = 150) const {
    scheduler::JobSpec spec = with_servers(job(rows), consistency);
    spec.validate.every_steps = 1000;
    spec.checkpoint.every_steps = 1000;
    return spec;
  }

  /// What a worker's thread does in one generation; its outcome may be a failure.
  static Result<void> go_on(TrainingSession& session, collective::Communicator& communicator,
                            std::optional<EvaluationResult>* last = nullptr) {
    const auto evaluate = [&]() -> Result<void> {
      const auto result = session.evaluate(communicator);
      if (!result) return tl::unexpected(result.error());
      if (last != nullptr) *last = *result;
      return {};
    };
    if (session.evaluation_due()) {
      if (const auto done = evaluate(); !done) return done;
    }
    while (!session.finished()) {
      if (const auto step = session.run_step(communicator); !step) return tl::unexpected(step.error());
      if (!session.evaluation_due()) continue;
      if (const auto done = evaluate(); !done) return done;
    }
    return {};
  }
};

TEST_F(FreeTraining, LearnsWhatIsThereToLearn) {
  for (const char* consistency : {"bounded", "async"}) {
    for (const std::uint32_t members : {1U, 3U, 4U}) {
      scheduler::JobSpec spec = free_job(consistency, 300);
      spec.until.steps = 40;
      const auto servers = servers_for(spec, 2);
      servers->begin_generation();
      std::vector<std::optional<EvaluationResult>> results(members);
      std::vector<StateImage> images(members);
      collective::run_gang(collective::assign_logical_ranks(4, members), [&](collective::Communicator& gang) {
        const auto session = open(spec);
        ASSERT_TRUE(session->use_servers(servers->link(), gang.rank() == 0));
        ASSERT_TRUE(gang.barrier());
        const auto done = go_on(*session, gang, &results[gang.rank()]);
        ASSERT_TRUE(done) << done.error().message;
        images[gang.rank()] = *session->checkpoint_image(true);
      });
      ASSERT_TRUE(results[0]);
      EXPECT_GT(results[0]->metrics.at("accuracy"), results[0]->majority_accuracy + 0.1) << consistency;
      for (const StateImage& image : images) EXPECT_EQ(image.tensors, images[0].tensors);
      EXPECT_EQ(images[0].step, 40U);
    }
  }
}

TEST_F(FreeTraining, BoundsHowFarTheFastestIsAhead) {
  for (const std::uint32_t staleness : {1U, 3U}) {
    scheduler::JobSpec spec = free_job("bounded");
    spec.workers = {1, 2};
    spec.until.steps = 12;
    spec.strategy.staleness = staleness;
    spec.data.validate.reset();
    spec.batch.global = 4;  // many steps an epoch
    const auto servers = servers_for(spec, 2);
    servers->begin_generation();
    collective::run_gang(collective::assign_logical_ranks(2, 2), [&](collective::Communicator& gang) {
      const auto session = open(spec);
      ASSERT_TRUE(session->use_servers(servers->link(), gang.rank() == 0));
      // The second begins when the first has done all that it may.
      if (gang.rank() == 1) {
        ASSERT_TRUE(wait_until([&] { return servers->clocks(1)[0] == staleness + 1; }));
      }
      const auto done = go_on(*session, gang);
      ASSERT_TRUE(done) << done.error().message;
    });
    EXPECT_EQ(servers->largest_lead(), staleness);
    EXPECT_EQ(servers->clocks(0), (std::vector<std::uint64_t>{12, 12}));
  }
}

TEST_F(FreeTraining, LetsTheFastestRunAheadToTheNextBoundaryWhenAsync) {
  scheduler::JobSpec spec = free_job("async");
  spec.workers = {1, 2};
  spec.until.steps = 20;
  spec.checkpoint.every_steps = 10;
  spec.data.validate.reset();
  spec.batch.global = 4;
  const auto servers = servers_for(spec, 2);
  servers->begin_generation();
  std::vector<StateImage> images(2);
  collective::run_gang(collective::assign_logical_ranks(2, 2), [&](collective::Communicator& gang) {
    const auto session = open(spec);
    ASSERT_TRUE(session->use_servers(servers->link(), gang.rank() == 0));
    if (gang.rank() == 1) {
      ASSERT_TRUE(wait_until([&] { return servers->clocks(1)[0] == 10; }));
    }
    while (session->step() < 10) ASSERT_TRUE(session->run_step(gang));
    images[gang.rank()] = session->image(true);
    if (gang.rank() == 0) {
      const auto whole = session->checkpoint_image(true);
      ASSERT_TRUE(whole) << whole.error().message;
      EXPECT_EQ(whole->tensors[0], session->image(false).tensors[0]);
      EXPECT_EQ(whole->tensors[1].first, "first_moment");
      EXPECT_EQ(session->checkpoint_image(true).error().code == ErrorCode::unavailable ||
                    servers->clocks(0) == std::vector<std::uint64_t>(2, 10),
                true);
    }
    const auto done = go_on(*session, gang);
    ASSERT_TRUE(done) << done.error().message;
  });
  EXPECT_EQ(images[0].tensors, images[1].tensors) << "at a boundary all see one state";
  EXPECT_EQ(servers->largest_lead(), 9U);
}

TEST_F(FreeTraining, MakesEveryShareOnceThroughDeathsAndChangesOfTheGang) {
  std::mt19937 generator(3);
  for (const char* consistency : {"bounded", "async"}) {
    scheduler::JobSpec spec = free_job(consistency);
    spec.until.steps = 23;
    spec.checkpoint.every_steps = 6;
    spec.validate.every_steps = 8;
    const auto servers = servers_for(spec, 3, true);
    bool done = false;
    std::size_t generations = 0;
    for (; !done; ++generations) {
      ASSERT_LT(generations, 200U);
      servers->begin_generation();
      const bool seed = !servers->has_state();
      const std::uint32_t members = 1 + generator() % 4, dying = generator() % members;
      const std::size_t calls = 2 + generator() % 40;
      std::vector<std::uint64_t> ended(members);
      collective::run_gang(collective::assign_logical_ranks(4, members), [&](collective::Communicator& gang) {
        const auto session = open(spec);
        const auto link = gang.rank() == dying ? servers->link_that_dies(calls) : servers->link();
        const auto used = session->use_servers(link, seed && gang.rank() == 0);
        const auto together = gang.barrier();
        if (used && together && go_on(*session, gang) && gang.barrier()) {
          ended[gang.rank()] = 1;
          return;
        }
        gang.abort({ErrorCode::cancelled, "the generation ended", {}});
        servers->end_generation({ErrorCode::cancelled, "the generation ended", {}});
      });
      done = std::ranges::all_of(ended, [](auto one) { return one == 1; });
    }
    EXPECT_GT(generations, 3U);
    for (std::size_t range = 0; range < 3; ++range) {
      EXPECT_EQ(servers->clocks(range), std::vector<std::uint64_t>(4, 23)) << consistency;
      EXPECT_EQ(servers->updates(range), 4U * 23U) << consistency << ": each share is one update";
    }
  }
}

TEST_F(FreeTraining, MovesBuffersCountersAndBadRecordsAtBoundaries) {
  scheduler::JobSpec spec = with_servers(job_for({"resnet"}), "async");
  spec.data.validate.reset();
  spec.checkpoint.every_steps = 3;
  spec.until.steps = 3;
  const auto servers = servers_for(spec, 2);
  servers->begin_generation();
  const StateImage first = open(spec)->image(true);
  std::vector<StateImage> images(3);
  collective::run_gang(collective::assign_logical_ranks(4, 3), [&](collective::Communicator& gang) {
    const auto session = open(spec);
    ASSERT_TRUE(session->use_servers(servers->link(), gang.rank() == 0));
    ASSERT_TRUE(gang.barrier());
    ASSERT_TRUE(go_on(*session, gang));
    images[gang.rank()] = session->image(true);
  });
  const auto tensor = [](const StateImage& image, const std::string& name) {
    return std::ranges::find(image.tensors, name, &std::pair<std::string, Buffer>::first)->second;
  };
  EXPECT_EQ(images[0].tensors, images[2].tensors);
  EXPECT_NE(tensor(images[0], "buffers"), tensor(first, "buffers"));
  std::int64_t counter = 0;
  std::memcpy(&counter, tensor(images[0], "counters").bytes().data(), sizeof counter);
  EXPECT_EQ(counter, static_cast<std::int64_t>(3 * spec.batch.accumulate)) << "as one rank counts";
}

class FreeFp16Training : public FreeTraining, public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(With, FreeFp16Training, ::testing::Values("bounded", "async"));

TEST_P(FreeFp16Training, FindsALossScaleThatFitsAndAgreesOnItAtBoundaries) {
  scheduler::JobSpec spec = free_job(GetParam());
  spec.precision = "fp16";
  spec.data.validate.reset();
  spec.checkpoint.every_steps = 8;
  spec.until.steps = 24;
  spec.loss[0].weight = 1e3;  // gradients overflow at first
  const auto servers = servers_for(spec, 2);
  servers->begin_generation();
  std::vector<StateImage> images(3);
  collective::run_gang(collective::assign_logical_ranks(4, 3), [&](collective::Communicator& gang) {
    const auto session = open(spec);
    ASSERT_TRUE(session->use_servers(servers->link(), gang.rank() == 0));
    ASSERT_TRUE(gang.barrier());
    while (!session->finished()) {
      const auto step = session->run_step(gang);
      ASSERT_TRUE(step) << step.error().message;
      if (step->step < 24) continue;
      EXPECT_LT(step->loss_scale, 65536);
      EXPECT_GT(step->skipped_steps, 3U);
    }
    images[gang.rank()] = session->image(true);
  });
  for (const StateImage& image : images) EXPECT_EQ(image.tensors, images[0].tensors);
  for (std::size_t range = 0; range < 2; ++range) {
    EXPECT_EQ(servers->clocks(range), std::vector<std::uint64_t>(4, 24));
    EXPECT_LT(servers->updates(range), 4U * 24U) << "some overflowed";
    EXPECT_GT(servers->updates(range), 2U * 24U) << "most did not";
  }
}

TEST_F(FreeTraining, NamesWhatIsNotFinite) {
  scheduler::JobSpec spec = free_job("async");
  spec.optimizer.lr = 1e30;
  const auto servers = servers_for(spec, 2);
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->use_servers(servers->link(), true));
  const auto done = go_on(*session, one);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(done.error().message.find("is not finite"), std::string::npos) << done.error().message;
}

}  // namespace
}  // namespace ds::train
