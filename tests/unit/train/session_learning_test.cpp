#include <gtest/gtest.h>

#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

class SessionLearning : public TrainingJob {
 protected:
  static EvaluationResult learn(const scheduler::JobSpec& spec) {
    const auto session = open(spec);
    collective::Communicator one(spec.logical_ranks());
    while (!session->finished()) {
      const auto step = session->run_step(one);
      if (!step) throw std::runtime_error(step.error().message);
    }
    const auto result = session->evaluate(one);
    if (!result) throw std::runtime_error(result.error().message);
    return *result;
  }
};

TEST_F(SessionLearning, IsFarAboveTheMajorityOnASmallGeneratedSet) {
  scheduler::JobSpec spec = job(600);
  spec.until = {};
  spec.until.epochs = 6;
  const EvaluationResult result = learn(spec);
  EXPECT_LT(result.majority_accuracy, 0.7);
  EXPECT_GT(result.metrics.at("accuracy"), 0.95);
  EXPECT_LT(result.loss, 0.3);
}

TEST_F(SessionLearning, IsFarAboveTheMajorityOnRealQuestions) {
  const char* folder = std::getenv("DS_TEST_DATA");
  const std::filesystem::path data =
      std::filesystem::path(folder != nullptr ? folder : DS_SOURCE_DIR "/../shared/data") / "banking77";
  if (!std::filesystem::exists(data / "train.csv")) {
    GTEST_SKIP() << data / "train.csv"
                 << " is not here; DS_TEST_DATA names the folder that holds banking77/";
  }
  scheduler::JobSpec spec = job();
  spec.data.train = csv(data / "train.csv", "category");
  spec.data.validate = csv(data / "test.csv", "category");
  spec.data.transforms = texts(4000, 24);
  spec.model.settings["width"] = {64};
  spec.batch.global = 64;
  spec.optimizer.lr = 3e-3;
  spec.until = {};
  spec.until.epochs = 3;
  const EvaluationResult result = learn(spec);
  EXPECT_LT(result.majority_accuracy, 0.02);
  EXPECT_GT(result.metrics.at("accuracy"), 0.7) << "77 classes, loss " << result.loss;
  std::cout << "accuracy " << result.metrics.at("accuracy") << ", majority " << result.majority_accuracy
            << "\n";
}

}  // namespace
}  // namespace ds::train
