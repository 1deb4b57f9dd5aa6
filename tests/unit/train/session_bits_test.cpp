#include <gtest/gtest.h>

#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

class SessionBits : public TrainingJob {};

TEST_F(SessionBits, AreTheSameForGangsOfEverySizeWithDropoutOn) {
  scheduler::JobSpec spec = job();
  spec.batch.accumulate = 2;
  const Buffer alone = safetensors(train(spec, 1, 12));
  for (std::uint32_t members = 2; members <= 4; ++members) {
    EXPECT_TRUE(safetensors(train(spec, members, 12)) == alone) << members << " members";
  }
}

TEST_F(SessionBits, AreTheSameWhenTheGangChangesInTheMiddle) {
  const scheduler::JobSpec spec = job();
  const StateImage alone = train(spec, 1, 12);
  StateImage image = train(spec, 3, 2);
  for (const auto& [members, steps] : {std::pair(1U, 3U), std::pair(4U, 1U), std::pair(2U, 6U)}) {
    const StateImage before = image;
    image = train(spec, members, steps, &before);
  }
  EXPECT_EQ(image.step, 12U);
  EXPECT_EQ(image.tensors, alone.tensors);
  EXPECT_TRUE(safetensors(image) == safetensors(alone));
}

TEST_F(SessionBits, AreTheSameWhenBatchesAreSmallerThanTheGang) {
  scheduler::JobSpec spec = job(7);
  spec.workers.max = 5;
  spec.batch.global = 3;
  spec.batch.accumulate = 3;
  const StateImage alone = train(spec, 1, 9);
  EXPECT_EQ(train(spec, 4, 9).tensors, alone.tensors);
}

TEST_F(SessionBits, AreTheSameInTheFirstSessionAndInALaterOne) {
  const scheduler::JobSpec spec = job();
  const StateImage first = train(spec, 1, 5);
  EXPECT_EQ(train(spec, 1, 5).tensors, first.tensors);
}

TEST_F(SessionBits, DoNotDependOnEvaluationsInBetween) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(session->run_step(one));
    ASSERT_TRUE(session->evaluate(one));
  }
  EXPECT_EQ(session->image(true).tensors, train(spec, 1, 5).tensors);
}

TEST_F(SessionBits, DependOnSeedDropoutAndShuffle) {
  const scheduler::JobSpec spec = job();
  const StateImage base = train(spec, 1, 3);
  scheduler::JobSpec other = spec;
  other.seed = 8;
  EXPECT_NE(train(other, 1, 3).tensors, base.tensors);
  other = spec;
  other.model.settings["dropout"] = {0};
  EXPECT_NE(train(other, 1, 3).tensors, base.tensors);
  other = spec;
  other.data.shuffle = false;
  EXPECT_NE(train(other, 1, 3).tensors, base.tensors);
}

TEST_F(SessionBits, OfAnEvaluationAreTheSameForGangsOfEverySize) {
  const scheduler::JobSpec spec = job();
  const StateImage image = train(spec, 1, 5);
  std::vector<std::pair<double, double>> verdicts;
  for (std::uint32_t members = 1; members <= 4; ++members) {
    std::vector<EvaluationResult> results(members);
    collective::run_gang(collective::assign_logical_ranks(4, members),
                         [&](collective::Communicator& communicator) {
                           const auto session = open(spec);
                           ASSERT_TRUE(session->restore(image));
                           const auto result = session->evaluate(communicator);
                           ASSERT_TRUE(result) << result.error().message;
                           results[communicator.rank()] = *result;
                         });
    for (const EvaluationResult& result : results)
      verdicts.emplace_back(result.loss, result.metrics.at("accuracy"));
  }
  for (const auto& verdict : verdicts) EXPECT_EQ(verdict, verdicts.front());
}

}  // namespace
}  // namespace ds::train
