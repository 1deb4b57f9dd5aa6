#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <torch/script.h>

#include <cstring>
#include <map>
#include <sstream>

#include "actors/train/state_description.hpp"
#include "tests/unit/train/model_recipes.hpp"

namespace ds::train {
namespace {

class SessionModels : public ModelRecipes, public testing::WithParamInterface<Recipe> {
 protected:
  scheduler::JobSpec recipe() const { return job_for(GetParam()); }
};

std::string name_of(const testing::TestParamInfo<Recipe>& info) {
  return info.param.name + "_" + info.param.precision;
}

INSTANTIATE_TEST_SUITE_P(All, SessionModels,
                         testing::Values(Recipe{"mlp"}, Recipe{"resnet"}, Recipe{"transformer"},
                                         Recipe{"lstm"}, Recipe{"torchscript"}, Recipe{"resnet", "bf16"},
                                         Recipe{"transformer", "bf16"}, Recipe{"lstm", "bf16"},
                                         Recipe{"torchscript", "bf16"}, Recipe{"mlp", "bf16"}, Recipe{"unet"},
                                         Recipe{"unet", "bf16"}, Recipe{"mlp", "fp16"},
                                         Recipe{"resnet", "fp16"}, Recipe{"transformer", "fp16"},
                                         Recipe{"lstm", "fp16"}, Recipe{"torchscript", "fp16"},
                                         Recipe{"unet", "fp16"}),
                         name_of);

TEST_P(SessionModels, EndWithTheSameBitsWhateverTheGangAndItsChanges) {
  const scheduler::JobSpec spec = recipe();
  if (spec.model.zoo.empty() && spec.model.torchscript.empty())
    GTEST_SKIP() << "python3-torch is not installed";
  constexpr std::uint64_t kSteps = 7;  // more than an epoch
  const StateImage alone = train(spec, 1, kSteps);
  const Buffer weights = safetensors(alone);
  for (std::uint32_t members = 2; members <= 4; ++members)
    EXPECT_TRUE(safetensors(train(spec, members, kSteps)) == weights) << members << " members";
  StateImage image = train(spec, 3, 2);
  for (const auto& [members, steps] : {std::pair(1U, 3U), std::pair(4U, 2U)}) {
    const StateImage before = image;
    image = train(spec, members, steps, &before);
  }
  EXPECT_EQ(image.tensors, alone.tensors);
}

TEST_P(SessionModels, AreExportedWithTheStatesTensors) {
  const scheduler::JobSpec spec = recipe();
  if (spec.model.zoo.empty() && spec.model.torchscript.empty())
    GTEST_SKIP() << "python3-torch is not installed";
  const StateImage image = train(spec, 1, 2);
  const auto description = to_state_description(image.description);
  ASSERT_TRUE(description);
  if (!spec.model.torchscript.empty()) std::filesystem::remove(spec.model.torchscript);  // the state has it
  const auto archive = export_model(image, ExportFormat::torchscript);
  ASSERT_TRUE(archive) << archive.error().message;
  std::istringstream stream{std::string(archive->text())};
  const torch::jit::Module module = torch::jit::load(stream);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& one : module.named_parameters()) tensors[one.name] = one.value.detach();
  for (const auto& one : module.named_buffers()) tensors[one.name] = one.value;
  const auto expect = [&](const std::vector<TensorSlot>& slots, const char* name, torch::ScalarType type) {
    if (slots.empty()) return;
    const auto found = std::ranges::find(image.tensors, name, &std::pair<std::string, Buffer>::first);
    ASSERT_NE(found, image.tensors.end());
    for (const TensorSlot& slot : slots) {
      ASSERT_TRUE(tensors.count(slot.name)) << slot.name;
      const torch::Tensor& exported = tensors[slot.name];
      ASSERT_EQ(exported.scalar_type(), type) << slot.name;
      const std::size_t size = exported.element_size();
      EXPECT_EQ(std::memcmp(exported.contiguous().data_ptr(),
                            found->second.bytes().data() + slot.offset * size, slot.size * size),
                0)
          << slot.name;
    }
  };
  expect(description->parameters, "parameters", torch::kFloat);
  expect(description->buffers, "buffers", torch::kFloat);
  expect(description->counters, "counters", torch::kLong);
  EXPECT_TRUE(export_model(image, ExportFormat::state_dict));
}

TEST_P(SessionModels, LearnWhatIsThereToLearn) {
  scheduler::JobSpec spec = recipe();
  if (spec.model.zoo.empty() && spec.model.torchscript.empty())
    GTEST_SKIP() << "python3-torch is not installed";
  spec.optimizer.lr = 1e-2;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    if (step < 5) first += result->loss / 5;
    if (step >= 55) last += result->loss / 5;
  }
  EXPECT_LT(last, first * 0.9);
  const auto evaluation = session->evaluate(one);
  ASSERT_TRUE(evaluation) << evaluation.error().message;
  EXPECT_GT(evaluation->metrics.at("accuracy"), evaluation->majority_accuracy);
}

using ModelsOfMasks = ModelRecipes;

TEST_F(ModelsOfMasks, AreComparedWithTheMostFrequentLabelOfTheFilesHoweverTheyAreCut) {
  const auto most_frequent = [&](const scheduler::JobSpec& spec) {
    const auto session = open(spec);
    collective::Communicator one(spec.logical_ranks());
    const auto evaluation = session->evaluate(one);
    EXPECT_TRUE(evaluation) << evaluation.error().message;
    return evaluation ? evaluation->majority_accuracy : 0;
  };
  scheduler::JobSpec spec = job_for(Recipe{"unet"});
  spec.data.transforms.clear();
  EXPECT_DOUBLE_EQ(most_frequent(spec), 2.0 / 3);  // a bar is a third of its image
  spec.data.transforms = {{scheduler::Crop{.size = {6, 6}, .random = false}, {}}};
  EXPECT_DOUBLE_EQ(most_frequent(spec), 2.0 / 3);
}

}  // namespace
}  // namespace ds::train
