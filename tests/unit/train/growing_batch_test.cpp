// Jobs whose steps take several batches (`batch.max_global`), in sessions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "actors/train/batch_growth.hpp"
#include "actors/train/progress.hpp"
#include "scheduler/spec/schedule_factor.hpp"
#include "tests/unit/train/server_job.hpp"

namespace ds::train {
namespace {

Progress progress_of(const StateImage& image) {
  const auto found = std::ranges::find(image.tensors, "progress", &std::pair<std::string, Buffer>::first);
  return Progress::of_bytes(found->second.bytes()).value();
}

std::vector<float> parameters_of(const StateImage& image) {
  const auto bytes = image.tensors.front().second.bytes();
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class GrowingBatch : public ServerJob {
 protected:
  /// Batches of 8 of 150 samples: 19 steps an epoch, the last one short. Its noise lets it grow.
  scheduler::JobSpec growing() const {
    scheduler::JobSpec spec = job(150);
    spec.batch.global = 8;
    spec.batch.max_global = 64;
    return spec;
  }

  /// `image` as if steps took so many batches from here on, at that loss scale, if one is given.
  static StateImage with_batches(StateImage image, double batches, double scale = 0) {
    Progress progress = progress_of(image);
    progress.batches = batches;
    if (scale > 0) progress.scale = scale;
    const auto values = progress.values();
    const auto found = std::ranges::find(image.tensors, "progress", &std::pair<std::string, Buffer>::first);
    found->second = Buffer::copy_of(std::as_bytes(std::span(values)));
    return image;
  }

  static StateImage beginning(const scheduler::JobSpec& spec) { return open(spec)->image(true); }
};

TEST_F(GrowingBatch, GrowsByTheNoiseAndEndsWithTheSameBitsForGangsOfEverySize) {
  const scheduler::JobSpec spec = growing();
  constexpr std::uint64_t kSteps = 2 * kGrowEvery + 20;
  const StateImage alone = train(spec, 1, kSteps);
  const Progress progress = progress_of(alone);
  EXPECT_GT(progress.batches, 1) << "noise scale " << progress.noise.scale();
  EXPECT_GT(progress.further_batches, 0);
  EXPECT_EQ(alone.step, kSteps + static_cast<std::uint64_t>(progress.further_batches));
  for (const std::uint32_t members : {2U, 4U})
    EXPECT_EQ(train(spec, members, kSteps).tensors, alone.tensors) << members << " members";
}

TEST_F(GrowingBatch, EndsWithTheSameBitsWhenTheGangChangesAnywhere) {
  scheduler::JobSpec spec = growing();
  spec.batch.accumulate = 2;
  const StateImage start = with_batches(beginning(spec), 4);
  const StateImage alone = train(spec, 1, 80, &start);
  StateImage image = train(spec, 3, 61, &start);  // shortly before the batch is looked at
  for (const auto& [members, steps] :
       {std::pair(1U, 2U), std::pair(4U, 1U), std::pair(2U, 2U), std::pair(3U, 13U), std::pair(1U, 1U)}) {
    const StateImage before = image;
    image = train(spec, members, steps, &before);
  }
  EXPECT_NE(progress_of(alone).batches, 4) << "noise scale " << progress_of(alone).noise.scale();
  EXPECT_EQ(image.step, alone.step);
  EXPECT_EQ(image.tensors, alone.tensors);
}

TEST_F(GrowingBatch, OnServersEndsWithTheBitsOfAnAllReduce) {
  scheduler::JobSpec spec = growing();
  spec.optimizer.clip_norm = 0.5;
  const StateImage start = with_batches(beginning(spec), 4);
  const StateImage expected = train(spec, 1, 70, &start);
  EXPECT_EQ(expected.step, progress_of(expected).further_batches + 70);
  for (const std::uint32_t members : {1U, 3U}) {
    const auto servers = servers_for(with_servers(spec), 2);
    EXPECT_EQ(train_on(*servers, with_servers(spec), members, 70, &start).tensors, expected.tensors)
        << members;
  }
  const auto servers = servers_for(with_servers(spec), 2, true);
  StateImage image = train_on(*servers, with_servers(spec), 2, 5, &start);
  for (const auto& [members, steps] : {std::pair(1U, 30U), std::pair(4U, 35U)})
    image = train_on(*servers, with_servers(spec), members, steps);
  EXPECT_EQ(image.step, expected.step);
  EXPECT_EQ(image.tensors, expected.tensors);
}

/// Steps of four batches are those of a batch four times as large, but for the order of the sums.
TEST_F(GrowingBatch, TakesTheGradientOfAllItsBatches) {
  for (const char* optimizer : {"sgd", "adamw"}) {
    scheduler::JobSpec spec = growing();
    spec.model.settings["dropout"] = {0};
    spec.optimizer = {};
    spec.optimizer.name = optimizer;
    spec.optimizer.lr = 1e-2;
    const StateImage start = with_batches(beginning(spec), 4);
    const std::vector<float> begin = parameters_of(start), grown = parameters_of(train(spec, 2, 3, &start));
    scheduler::JobSpec large = spec;
    large.batch.global = 32;
    large.batch.max_global = 0;
    large.optimizer.lr *= batch_rate_factor(spec, 4, std::nullopt);
    const std::vector<float> expected = parameters_of(train(large, 1, 3, &start));
    double moved = 0, far = 0;
    for (std::size_t i = 0; i < begin.size(); ++i)
      moved = std::max(moved, std::abs(double{expected[i]} - begin[i]));
    for (std::size_t i = 0; i < begin.size(); ++i)
      far += std::abs(double{grown[i]} - expected[i]) > 1e-3 * moved ? 1 : 0;
    EXPECT_GT(moved, 1e-4);
    // Adam goes by the sign of a gradient that is nothing but rounding, too.
    EXPECT_LT(far, 0.01 * static_cast<double>(begin.size())) << optimizer;
  }
}

TEST_F(GrowingBatch, EndsItsStepsAtEvaluationsEpochsAndTheLastStep) {
  scheduler::JobSpec spec = growing();
  spec.validate.every_steps = 7;
  spec.until.steps = 45;
  spec.optimizer.name = "sgd";
  spec.optimizer.lr = 1;
  spec.schedule.name = "linear";
  spec.schedule.warmup = 4;
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(with_batches(beginning(spec), 4)));
  collective::Communicator one(spec.logical_ranks());
  std::vector<std::uint64_t> steps;
  std::vector<double> rates;
  std::uint64_t samples = 0;
  while (!session->finished()) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->step, session->step());
    EXPECT_EQ(result->batches, result->step - (steps.empty() ? 0 : steps.back()));
    EXPECT_EQ(result->batch, 32U);
    EXPECT_EQ(session->evaluation_due(), result->step % 7 == 0 || result->step == 45) << result->step;
    steps.push_back(result->step);
    rates.push_back(result->learning_rate);
    samples += result->samples;
  }
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{4, 7, 11, 14, 18, 19, 21, 25, 28, 32, 35, 38, 42, 45}));
  EXPECT_EQ(samples, 150U * 2 + 7 * 8);
  EXPECT_DOUBLE_EQ(rates.front(), 4 * (0.25 + 0.5 + 0.75 + 1) / 4) << "the mean of its batches' factors";
  EXPECT_DOUBLE_EQ(rates[5], scheduler::schedule_factor(spec.schedule, 18, 45)) << "one batch: its own";
}

TEST_F(GrowingBatch, ReportsTheBatchThatAStepCanHaveAtMost) {
  scheduler::JobSpec spec = growing();
  spec.validate.every_steps = 4;
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(with_batches(beginning(spec), 8)));
  collective::Communicator one(spec.logical_ranks());
  for (int i = 0; i < 5; ++i) {  // the last one is of three, for the epoch ends
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->batches, i < 4 ? 4U : 3U);
    EXPECT_EQ(result->batch, 4U * 8);
  }
}

TEST_F(GrowingBatch, TellsTheShareOfEachBatch) {
  scheduler::JobSpec spec = growing();  // 19 steps an epoch
  const StateImage start = with_batches(beginning(spec), 8);
  for (const std::uint32_t members : {1U, 3U}) {
    std::mutex mutex;
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::uint64_t>> shares;
    collective::run_gang(
        collective::assign_logical_ranks(spec.logical_ranks(), members),
        [&](collective::Communicator& communicator) {
          const auto session = open(spec);
          ASSERT_TRUE(session->restore(start));
          session->watch_shares([&](const TakenShare& share) -> Result<void> {
            const std::lock_guard lock(mutex);
            EXPECT_EQ(share.epoch, (share.step - 1) / 19);
            EXPECT_TRUE(shares.emplace(std::pair(share.step, share.logical_rank), share.samples).second);
            return {};
          });
          while (session->step() < 38) ASSERT_TRUE(session->run_step(communicator));
        });
    EXPECT_EQ(shares.size(), 38U * 4);
    SCOPED_TRACE(members);
    expect_each_sample_once_an_epoch(shares, 19);
  }
}

TEST_F(GrowingBatch, CountsTheOptimizersUpdatesWhenStepsArePassedOver) {
  scheduler::JobSpec spec = growing();
  spec.optimizer.name = "adam";
  spec.precision = "fp16";
  const StateImage start = with_batches(beginning(spec), 4, 1 << 24);  // its first steps overflow
  const StateImage image = train(spec, 2, 12, &start);
  EXPECT_EQ(image.step, 12 + progress_of(image).further_batches);
  const auto skipped = static_cast<std::uint64_t>(progress_of(image).skipped);
  EXPECT_GT(skipped, 0U);
  EXPECT_LT(skipped, 12U);
  const auto servers = servers_for(with_servers(spec), 2);
  EXPECT_EQ(train_on(*servers, with_servers(spec), 2, 12, &start).tensors, image.tensors);
  EXPECT_EQ(servers->updates(0), 12 - skipped);
  const StateImage middle = train(spec, 1, 5, &start);
  EXPECT_EQ(train(spec, 3, 7, &middle).tensors, image.tensors);
}

TEST_F(GrowingBatch, IsNothingToAJobWhoseBatchIsFixed) {
  scheduler::JobSpec spec = growing();
  spec.batch.max_global = 0;
  const StateImage image = train(spec, 1, kGrowEvery + 20);
  EXPECT_EQ(image.step, kGrowEvery + 20);
  EXPECT_EQ(progress_of(image).batches, 0);
  EXPECT_EQ(progress_of(image).further_batches, 0);
  scheduler::JobSpec same = spec;
  same.batch.max_global = same.batch.global;
  EXPECT_EQ(train(same, 2, kGrowEvery + 20).tensors, image.tensors);
}

}  // namespace
}  // namespace ds::train
