#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "tests/unit/data/packed_files.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

/// What a job may ask for besides its steps: when to evaluate, when to stop, what to do about numbers that
/// are not finite.
class SessionRules : public TrainingJob {
 protected:
  /// The steps after which an evaluation is due, until training is finished; each is carried out.
  static std::vector<std::uint64_t> evaluated_steps(TrainingSession& session, std::uint32_t logical_ranks) {
    std::vector<std::uint64_t> steps;
    collective::Communicator one(logical_ranks);
    while (!session.finished()) {
      const auto step = session.run_step(one);
      if (!step) throw std::runtime_error(step.error().message);
      if (!session.evaluation_due()) continue;
      steps.push_back(session.step());
      if (const auto result = session.evaluate(one); !result)
        throw std::runtime_error(result.error().message);
    }
    return steps;
  }
};

TEST_F(SessionRules, EvaluateAfterEpochsOrStepsAndAtTheEnd) {
  scheduler::JobSpec spec = job(150);  // 5 steps an epoch
  spec.until = {};
  spec.until.steps = 17;
  using Steps = std::vector<std::uint64_t>;
  EXPECT_EQ(evaluated_steps(*open(spec), spec.logical_ranks()), (Steps{5, 10, 15, 17}));
  spec.validate.every_epochs = 2;
  EXPECT_EQ(evaluated_steps(*open(spec), spec.logical_ranks()), (Steps{10, 17}));
  spec.validate.every_steps = 6;
  EXPECT_EQ(evaluated_steps(*open(spec), spec.logical_ranks()), (Steps{6, 12, 17}));
  spec.data.validate.reset();
  EXPECT_EQ(evaluated_steps(*open(spec), spec.logical_ranks()), Steps());
}

TEST_F(SessionRules, StopEarlyWithoutAGainAndStayStoppedInARestoredState) {
  scheduler::JobSpec spec = job(150);
  spec.optimizer.lr = 1e-12;  // nothing changes
  spec.early_stop = scheduler::EarlyStop{{"accuracy", true}, 2, 0};
  const auto session = open(spec);
  EXPECT_EQ(evaluated_steps(*session, spec.logical_ranks()), (std::vector<std::uint64_t>{5, 10, 15}));
  EXPECT_LT(session->step(), session->total_steps());
  const auto other = open(spec);
  ASSERT_TRUE(other->restore(session->image(true)));
  EXPECT_TRUE(other->finished());
}

TEST_F(SessionRules, EvaluateTheLossAloneOrBesideMetrics) {
  scheduler::JobSpec spec = job(150);
  spec.validate.metrics = {"loss"};
  collective::Communicator one(spec.logical_ranks());
  const auto alone = open(spec)->evaluate(one);
  ASSERT_TRUE(alone);
  EXPECT_GT(alone->loss, 0);
  EXPECT_TRUE(alone->metrics.empty());
  spec.validate.metrics = {"loss", "f1"};
  const auto beside = open(spec)->evaluate(one);
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->loss, alone->loss);
  EXPECT_EQ(beside->metrics.size(), 1U);
  EXPECT_TRUE(beside->metrics.contains("f1"));
}

TEST_F(SessionRules, StopWhenTheTargetIsReached) {
  scheduler::JobSpec spec = job(600);
  spec.until = {};
  spec.until.epochs = 50;
  spec.until.metric = scheduler::Goal{"accuracy", true};
  spec.until.target = 0.9;
  const auto session = open(spec);
  const auto steps = evaluated_steps(*session, spec.logical_ranks());
  EXPECT_LT(session->step(), session->total_steps() / 2);
  EXPECT_EQ(session->step(), steps.back());
}

TEST_F(SessionRules, MeasureWhatWasAskedForAlikeInGangsOfEverySize) {
  scheduler::JobSpec spec = job(300);
  spec.validate.metrics = {"f1", "auc", "accuracy"};
  std::vector<EvaluationResult> results;
  for (std::uint32_t members = 1; members <= 3; ++members) {
    collective::run_gang(collective::assign_logical_ranks(spec.logical_ranks(), members),
                         [&](collective::Communicator& communicator) {
                           const auto session = open(spec);
                           for (int i = 0; i < 20; ++i) ASSERT_TRUE(session->run_step(communicator));
                           const auto result = session->evaluate(communicator);
                           ASSERT_TRUE(result) << result.error().message;
                           if (communicator.rank() == 0) results.push_back(*result);
                         });
  }
  ASSERT_EQ(results.size(), 3U);
  for (const EvaluationResult& result : results) {
    EXPECT_EQ(result.metrics, results[0].metrics);
    EXPECT_EQ(result.loss, results[0].loss);
    EXPECT_EQ(result.metrics.size(), 3U);
  }
  EXPECT_GT(results[0].metrics.at("auc"), 0.7);
}

TEST_F(SessionRules, SkipSoManyStepsThatAreNotFiniteAndNoMore) {
  scheduler::JobSpec spec = job();
  spec.optimizer.lr = 1e30;
  spec.optimizer.weight_decay = 0;
  spec.on_nan = {true, 3};
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  std::uint64_t skipped = 0;
  while (true) {
    const StateImage before = session->image(true);
    const auto step = session->run_step(one);
    if (!step) {
      EXPECT_EQ(step.error().code, ErrorCode::invalid_argument);
      EXPECT_NE(step.error().message.find("after 3 skipped steps"), std::string::npos)
          << step.error().message;
      break;
    }
    ASSERT_LT(session->step(), 100U);
    if (step->updated) continue;
    ++skipped;
    EXPECT_EQ(session->step(), before.step + 1);
    EXPECT_EQ(session->image(false).tensors[0], before.tensors[0]);
  }
  EXPECT_EQ(skipped, 3U);
}

TEST_F(SessionRules, HalveTheScaleOfFp16AndPassOverAStepThatOverflows) {
  scheduler::JobSpec spec = job();
  spec.precision = "fp16";
  spec.loss[0].weight = 2e4;  // times 65,536 is too much for binary16
  spec.optimizer.clip_norm = 1;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  const StateImage begin = session->image(true);
  double scale = 65536;
  std::uint64_t skipped = 0;
  for (int i = 0; i < 20; ++i) {
    const auto step = session->run_step(one);
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_EQ(step->loss_scale, scale);
    EXPECT_EQ(step->updated, session->image(false).tensors[0] != begin.tensors[0]) << i;
    if (step->updated) break;
    ++skipped;
    scale /= 2;
    EXPECT_EQ(step->skipped_steps, skipped);
  }
  EXPECT_GT(skipped, 2U);
  EXPECT_LT(skipped, 16U);
  // What has sunk stays so over a checkpoint.
  const auto other = open(spec);
  ASSERT_TRUE(other->restore(session->image(true)));
  const auto next = other->run_step(one);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->loss_scale, scale);
  EXPECT_GE(next->skipped_steps, skipped);
}

TEST_F(SessionRules, EndFp16TrainingThatNoScaleCanMend) {
  scheduler::JobSpec spec = job();
  spec.precision = "fp16";
  spec.optimizer.lr = 1e30;
  spec.optimizer.weight_decay = 0;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  double scale = 65536;
  for (;;) {
    const StateImage before = session->image(true);
    const auto step = session->run_step(one);
    if (step) {
      ASSERT_LT(session->step(), 200U);
      EXPECT_EQ(step->loss_scale, scale);
      if (!step->updated) scale /= 2;
      continue;
    }
    EXPECT_EQ(step.error().code, ErrorCode::invalid_argument);
    const std::string& message = step.error().message;
    EXPECT_TRUE(message.starts_with("step " + std::to_string(before.step + 1) + ": ")) << message;
    EXPECT_NE(message.find(".weight"), std::string::npos) << message;
    EXPECT_EQ(scale, 0x1p-126) << "GradScaler would go on from here";
    EXPECT_EQ(session->step(), before.step) << "the state is that of before the step";
    EXPECT_EQ(session->image(false).tensors, before.tensors);
    return;
  }
}

TEST_F(SessionRules, PassOverOverflowsAlikeInGangsOfEverySize) {
  scheduler::JobSpec spec = job();
  spec.precision = "fp16";
  spec.loss[0].weight = 1000;
  spec.optimizer.clip_norm = 0.5;
  const StateImage alone = train(spec, 1, 12);
  for (std::uint32_t members = 2; members <= 4; ++members)
    EXPECT_EQ(train(spec, members, 12).tensors, alone.tensors) << members;
  const StateImage middle = train(spec, 3, 2);  // it still overflows here
  EXPECT_EQ(train(spec, 2, 10, &middle).tensors, alone.tensors);
}

TEST_F(SessionRules, TellEachShareOnceAStepBeforeTheStepIsDone) {
  const scheduler::JobSpec spec = job(150);  // 5 steps an epoch, the last one short
  for (std::uint32_t members = 1; members <= 4; ++members) {
    std::mutex mutex;
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::uint64_t>> shares;
    collective::run_gang(
        collective::assign_logical_ranks(spec.logical_ranks(), members),
        [&](collective::Communicator& communicator) {
          const auto session = open(spec);
          session->watch_shares([&](const TakenShare& share) -> Result<void> {
            const std::lock_guard lock(mutex);
            EXPECT_EQ(share.step, session->step() + 1);
            EXPECT_EQ(share.epoch_samples, 150U);
            EXPECT_TRUE(shares.emplace(std::pair(share.step, share.logical_rank), share.samples).second);
            return {};
          });
          for (int i = 0; i < 10; ++i) ASSERT_TRUE(session->run_step(communicator));
        });
    EXPECT_EQ(shares.size(), 40U);
    SCOPED_TRACE(members);
    expect_each_sample_once_an_epoch(shares, 5);
  }
}

TEST_F(SessionRules, LeaveTheStateWholeWhenAShareCannotBeTold) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  const StateImage before = session->image(true);
  session->watch_shares([](const TakenShare& share) -> Result<void> {
    if (share.logical_rank < 2) return {};
    return fail(ErrorCode::resource_exhausted, "the disk is full");
  });
  const auto step = session->run_step(one);
  ASSERT_FALSE(step);
  EXPECT_NE(step.error().message.find("the disk is full"), std::string::npos) << step.error().message;
  EXPECT_EQ(session->image(true).tensors, before.tensors);
  session->watch_shares([](const TakenShare&) -> Result<void> { return {}; });
  collective::Communicator again(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(again));
  EXPECT_EQ(session->image(true).tensors, train(spec, 1, 2).tensors);
}

/// Sixty images in two folders, of which every tenth is no image.
class BadRecords : public SessionRules {
 protected:
  scheduler::JobSpec job_with_bad_images() const {
    for (int i = 0; i < 60; ++i) {
      std::vector<std::uint8_t> pixels(64);
      for (std::size_t p = 0; p < pixels.size(); ++p)
        pixels[p] = static_cast<std::uint8_t>(p * 3 + 40 * (i % 2));
      const std::string folder = i % 2 == 0 ? "set/dark" : "set/light";
      std::filesystem::create_directories(folder_ / folder);
      write(folder + "/" + std::to_string(100 + i) + ".png",
            i % 10 == 3 ? "no image" : data::to_png(8, 8, false, pixels));
    }
    scheduler::JobSpec spec = job();
    spec.model = {};
    spec.model.zoo = "mlp";
    spec.model.settings = {{"hidden", {8}}, {"dropout", {0}}};
    spec.data = {};
    spec.data.train.paths = {(folder_ / "set").string()};
    spec.data.train.format = "image_folder";
    spec.batch.global = 12;  // five steps an epoch
    return spec;
  }
};

TEST_F(BadRecords, AreCountedAlikeInGangsOfEverySizeAndOverRestarts) {
  scheduler::JobSpec spec = job_with_bad_images();
  spec.data.on_bad_record = {true, 6};
  const StateImage alone = train(spec, 1, 11);
  for (std::uint32_t members = 2; members <= 4; ++members)
    EXPECT_EQ(train(spec, members, 11).tensors, alone.tensors) << members;
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(train(spec, 4, 7)));
  collective::Communicator one(spec.logical_ranks());
  std::uint64_t seen = 0;
  for (int i = 0; i < 4; ++i) {
    const auto step = session->run_step(one);
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_GE(step->bad_records, seen);
    seen = step->bad_records;
    if (step->bad_record.empty()) continue;
    EXPECT_NE(step->bad_record.find(".png"), std::string::npos) << step->bad_record;
  }
  EXPECT_GE(seen, 12U);  // six an epoch
  EXPECT_EQ(session->image(true).tensors, alone.tensors);
}

TEST_F(BadRecords, EndTheJobAtTheSameStepInGangsOfEverySize) {
  scheduler::JobSpec spec = job_with_bad_images();
  spec.data.on_bad_record = {true, 4};
  for (std::uint32_t members = 1; members <= 4; ++members) {
    collective::run_gang(collective::assign_logical_ranks(spec.logical_ranks(), members),
                         [&](collective::Communicator& communicator) {
                           const auto session = open(spec);
                           for (int i = 0; i < 5; ++i) {
                             const auto step = session->run_step(communicator);
                             if (step) continue;
                             EXPECT_EQ(step.error().code, ErrorCode::invalid_argument);
                             EXPECT_NE(step.error().message.find("more than 4"), std::string::npos)
                                 << step.error().message;
                             return;
                           }
                           ADD_FAILURE() << members << " members: six bad records were let pass";
                         });
  }
}

TEST_F(SessionRules, NameTheTensorWhoseGradientIsNotFinite) {
  scheduler::JobSpec spec = job();
  spec.optimizer.lr = 1e30;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (int i = 0; i < 20; ++i) {
    const auto step = session->run_step(one);
    if (step) continue;
    EXPECT_NE(step.error().message.find(".weight"), std::string::npos) << step.error().message;
    return;
  }
  FAIL() << "everything stayed finite";
}

TEST_F(SessionRules, LowerTheLearningRateAsTheScheduleSays) {
  scheduler::JobSpec spec = job();
  spec.until = {};
  spec.until.steps = 10;
  spec.schedule.name = "linear";
  spec.schedule.warmup = 2;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  std::vector<double> rates;
  while (!session->finished()) rates.push_back(session->run_step(one)->learning_rate);
  EXPECT_DOUBLE_EQ(rates[0], spec.optimizer.lr / 2);
  EXPECT_DOUBLE_EQ(rates[1], spec.optimizer.lr);
  EXPECT_TRUE(std::is_sorted(rates.rbegin(), rates.rend() - 1));
  EXPECT_DOUBLE_EQ(rates.back(), 0);
}

TEST_F(SessionRules, TrainWithEveryOptimizerAndClippingToTheSameBitsInEveryGang) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    scheduler::JobSpec spec = job();
    spec.optimizer.name = name;
    spec.optimizer.lr = 1e-2;
    if (spec.optimizer.name == "sgd") spec.optimizer.momentum = 0.9;
    spec.optimizer.clip_norm = 0.5;
    EXPECT_EQ(train(spec, 1, 6).tensors, train(spec, 4, 6).tensors) << name;
  }
}

}  // namespace
}  // namespace ds::train
