#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "actors/infer/served_model.hpp"
#include "actors/replica/model_runner.hpp"

namespace ds::infer {
namespace {

using Tensors = ServedModel::Tensors;

/// A model whose `forward(self, x)` has this body, of any number of rows of `width` numbers.
std::unique_ptr<ServedModel> model_of(const std::string& body, std::int64_t width) {
  torch::jit::Module module("Made");
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define("def forward(self, x):\n    " + body + "\n");
  std::ostringstream archive;
  module.save(archive);
  ModelSource source{archive.str(), "made", {}, {}};
  source.inputs.push_back({"x", serving::Datatype::fp32, {-1, width}});
  auto model = ServedModel::load(std::move(source), {.name = "made", .max_batch_size = 4});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *std::move(model) : nullptr;
}

using Numbers = std::vector<float>;

Tensors request_of(const std::shared_ptr<const Numbers>& numbers, std::int64_t rows) {
  const auto width = static_cast<std::int64_t>(numbers->size()) / rows;
  return {{"x", serving::Datatype::fp32, {rows, width}, Buffer(numbers, std::as_bytes(std::span(*numbers)))}};
}

TEST(ServedModels, KeepTheMemoryOfARequestWhoseTensorTheyGiveBack) {
  for (const char* body : {"return x", "return x[:, 1:]"}) {
    SCOPED_TRACE(body);
    const auto model = model_of(body, 1000);
    ASSERT_NE(model, nullptr);
    auto numbers = std::make_shared<const Numbers>(3000, 7.0F);
    const std::weak_ptr<const Numbers> memory = numbers;
    std::vector<Tensors> requests{request_of(std::exchange(numbers, nullptr), 3)};
    auto outcome = replica::run_batch(*model, requests);
    requests.clear();
    ASSERT_TRUE(outcome.answers.at(0)) << outcome.answers[0].error().message;
    const auto& bytes = outcome.answers[0]->at(0).bytes;
    const bool is_shared = std::string_view(body) == "return x";
    ASSERT_EQ(!memory.expired(), is_shared) << "an answer that lies in freed memory, or memory that is kept";
    for (std::size_t i = 0; i + sizeof(float) <= bytes.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, bytes.bytes().data() + i, sizeof value);
      ASSERT_EQ(value, 7.0F) << i;
    }
    outcome.answers.clear();
    EXPECT_TRUE(memory.expired()) << "it is never given back";
  }
}

TEST(ServedModels, SayWhichSizesOfTheirOutputsFollowTheirInputs) {
  const auto shape_of = [](const char* body, std::int64_t width) {
    const auto model = model_of(body, width);
    return model ? model->metadata().outputs.at(0).shape : std::vector<std::int64_t>{};
  };
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(shape_of("return x * 2", -1), (Shape{-1, -1}));
  EXPECT_EQ(shape_of("return x.sum(1, True).expand(-1, 3)", -1), (Shape{-1, 3}));
  EXPECT_EQ(shape_of("return x * 2", 5), (Shape{-1, 5}));
  EXPECT_EQ(shape_of("return x[:, :int(x.max())]", 5), (Shape{-1, -1})) << "it follows the numbers";
}

TEST(ServedModels, GiveNoAnswerThatIsTooLargeToSend) {
  const auto model = model_of("return x[:, :1].expand(-1, 9000000)", 2);
  ASSERT_NE(model, nullptr);
  const auto numbers = std::make_shared<const Numbers>(4, 1.0F);
  const auto large = replica::run_batch(*model, {request_of(numbers, 2)});
  ASSERT_FALSE(large.answers.at(0));
  EXPECT_EQ(large.answers[0].error().code, ErrorCode::internal);
  EXPECT_NE(large.answers[0].error().message.find("72000000 bytes"), std::string::npos)
      << large.answers[0].error().message;
  const auto one = std::make_shared<const Numbers>(2, 1.0F);
  EXPECT_TRUE(replica::run_batch(*model, {request_of(one, 1)}).answers.at(0)) << "36 MB may be sent";
}

TEST(ServedModels, AreReadFromNothingThatIsWaitedForOrNeverEnds) {
  const auto pipe = std::filesystem::temp_directory_path() / ("ds-pipe-" + std::to_string(getpid()));
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe.string(), std::string("/dev/zero")}) {
    scheduler::JobSpec spec;
    spec.serve.emplace().source.path = path;
    const auto model = replica::load_model(spec, nullptr);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(model.error().message.find(path + " is no file"), std::string::npos) << model.error().message;
  }
  std::filesystem::remove(pipe);
}

}  // namespace
}  // namespace ds::infer
