#include <gtest/gtest.h>

#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

class SessionErrors : public TrainingJob {
 protected:
  static Error refusal(const scheduler::JobSpec& spec) {
    const auto session = TrainingSession::create(spec);
    if (session) throw std::runtime_error("the job was accepted");
    return session.error();
  }
};

TEST_F(SessionErrors, NameTheFileWhenItIsMissing) {
  scheduler::JobSpec spec = job();
  spec.data.train.paths = {folder_ / "nowhere.csv"};
  const Error error = refusal(spec);
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_NE(error.message.find("nowhere.csv"), std::string::npos) << error.message;
}

TEST_F(SessionErrors, NameTheColumnThatIsMissing) {
  scheduler::JobSpec spec = job();
  spec.data.train.columns[1].columns = {"lable"};
  const Error error = refusal(spec);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_NE(error.message.find("lable"), std::string::npos) << error.message;
}

TEST_F(SessionErrors, ComeFromTheValidationFileToo) {
  scheduler::JobSpec spec = job();
  spec.data.validate->paths = {write("bad.csv", "text,label\na,b,c\n")};
  const Error error = refusal(spec);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_NE(error.message.find("bad.csv"), std::string::npos) << error.message;
}

TEST_F(SessionErrors, SayThatOneLabelIsTooFew) {
  scheduler::JobSpec spec = job();
  spec.data.train.paths = {write("one.csv", "text,label\na,x\nb,x\n")};
  const Error error = refusal(spec);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_NE(error.message.find("have the label \"x\""), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("at least 2"), std::string::npos) << error.message;
}

TEST_F(SessionErrors, NameTheFieldOfASpecThatCannotBeTrained) {
  const std::vector<std::pair<std::string, std::function<void(scheduler::JobSpec&)>>> changes{
      {"model.zoo", [](auto& spec) { spec.model.zoo = "resnext"; }},
      {"model", [](auto& spec) { spec.model.torchscript = "/also.pt"; }},
      {"model.width", [](auto& spec) { spec.model.settings["width"] = {0}; }},
      {"model.dropout", [](auto& spec) { spec.model.settings["dropout"] = {1}; }},
      {"data.transforms", [](auto& spec) { spec.data.transforms = texts(8000, 0); }},
      {"data.transforms", [](auto& spec) { spec.data.transforms = texts(2, 12); }},
      {"batch.global", [](auto& spec) { spec.batch.global = 0; }},
      {"batch.accumulate", [](auto& spec) { spec.batch.accumulate = 0; }},
      {"precision", [](auto& spec) { spec.precision = "int4"; }},
      {"early_stop", [](auto& spec) { spec.early_stop.emplace(), spec.data.validate.reset(); }},
      {"early_stop.metric",
       [](auto& spec) {
         spec.early_stop = {{"f1", true}, 3, 0};
       }},
      {"strategy", [](auto& spec) { spec.strategy.name = "gossip"; }},
      {"loss", [](auto& spec) { spec.loss[0].name = "hinge"; }},
      {"until", [](auto& spec) { spec.until = {}; }}};
  for (const auto& [field, change] : changes) {
    scheduler::JobSpec spec = job();
    change(spec);
    const Error error = refusal(spec);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << field;
    EXPECT_NE(error.message.find(field), std::string::npos) << error.message;
  }
}

TEST_F(SessionErrors, RefuseAGangWithAnotherNumberOfLogicalRanks) {
  const auto session = open(job());
  collective::Communicator wrong(3);
  EXPECT_FALSE(session->run_step(wrong));
  EXPECT_FALSE(session->evaluate(wrong));
}

TEST_F(SessionErrors, SayThatNoValidationSampleHasAKnownLabel) {
  scheduler::JobSpec spec = job();
  spec.data.validate->paths = {write("unseen.csv", "text,label\nword,z\n?,y\n")};
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  const auto result = session->evaluate(one);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(result.error().message.find("data.validate"), std::string::npos);
}

TEST_F(SessionErrors, SayThatThereIsNoValidationSet) {
  scheduler::JobSpec spec = job();
  spec.data.validate.reset();
  const auto session = open(spec);
  EXPECT_FALSE(session->has_validation());
  collective::Communicator one(spec.logical_ranks());
  const auto result = session->evaluate(one);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::conflict);
}

TEST_F(SessionErrors, DoNotComeFromRowsWithoutWordsOrUnknownLabels) {
  scheduler::JobSpec spec = job();
  spec.data.train.paths = {write("odd.csv", "text,label\n...,x\n\"\",y\nword,x\n")};
  spec.data.validate->paths = {write("unseen.csv", "text,label\nword,x\n?,z\nnever seen,x\nword,z\n")};
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  const auto result = session->evaluate(one);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->samples, 4U);
  EXPECT_LE(result->metrics.at("accuracy"), 0.5)
      << "a label that training does not know cannot be judged right";
  EXPECT_DOUBLE_EQ(result->majority_accuracy, 0.5);
  EXPECT_TRUE(std::isfinite(result->loss));
}

}  // namespace
}  // namespace ds::train
