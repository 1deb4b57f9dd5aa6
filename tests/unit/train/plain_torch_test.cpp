// A worker by itself trains as an ordinary loop around torch's own modules and optimizers does.
#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "actors/data/sample_order.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/session_parts.hpp"
#include "tests/unit/train/model_recipes.hpp"
#include "tests/unit/train/plain_modules.hpp"

namespace ds::train {
namespace {

constexpr double kTolerance = 1e-6;

torch::Tensor tensor_of(const data::HostTensor& tensor) {
  const auto type = tensor.element == data::Element::float32 ? torch::kFloat
                    : tensor.element == data::Element::int64 ? torch::kLong
                                                             : torch::kByte;
  return torch::from_blob(const_cast<std::byte*>(tensor.bytes.bytes().data()), tensor.shape, type).clone();
}

torch::Tensor view(const std::vector<float>& flat, const TensorSlot& slot) {
  return torch::from_blob(const_cast<float*>(flat.data()) + slot.offset, slot.shape);
}

struct Way {
  std::string model, optimizer;
};

void PrintTo(const Way& way, std::ostream* out) {
  *out << way.model << " by " << way.optimizer;
}

class PlainTorch : public ModelRecipes, public testing::WithParamInterface<Way> {
 protected:
  /// One logical rank, whose batch norms see a whole batch, and nothing random: no dropout, no augmentation.
  scheduler::JobSpec recipe() const {
    const Way& way = GetParam();
    scheduler::JobSpec spec = way.model == "text_classifier" ? job() : job_for({way.model});
    spec.workers = {1, 1};
    spec.batch.accumulate = 1;
    if (spec.data.train.format == "idx") spec.data.transforms.clear();  // crop and flip
    if (!spec.model.torchscript.empty()) spec.model.torchscript = exported_module("Dropout(0.0)");
    if (way.model == "lstm") spec.model.settings["embedding"] = {10};
    if (spec.model.settings.contains("dropout")) spec.model.settings["dropout"] = {0};
    spec.optimizer.name = way.optimizer;
    spec.optimizer.weight_decay = 0.1;
    spec.optimizer.lr = 1e-3;
    if (way.optimizer == "sgd") {
      spec.optimizer.lr = 0.05;
      spec.optimizer.momentum = 0.9;
      spec.optimizer.weight_decay = 0.01;
    }
    return spec;
  }

  static std::unique_ptr<torch::optim::Optimizer> make_optimizer(const PlainModel& model,
                                                                 const scheduler::OptimizerSpec& spec) {
    std::vector<torch::Tensor> parameters;
    for (const auto& [name, tensor] : model.parameters) parameters.push_back(tensor);
    if (spec.name == "sgd")
      return std::make_unique<torch::optim::SGD>(
          parameters,
          torch::optim::SGDOptions(spec.lr).momentum(spec.momentum).weight_decay(spec.weight_decay));
    return std::make_unique<torch::optim::AdamW>(parameters, torch::optim::AdamWOptions(spec.lr)
                                                                 .betas({spec.beta1, spec.beta2})
                                                                 .eps(spec.eps)
                                                                 .weight_decay(spec.weight_decay));
  }

  /// The samples of the step after `step`, as the seed says.
  static data::Batch batch_after(const SessionParts& parts, std::uint64_t step) {
    const BatchSchedule schedule(parts.training->size(), parts.spec.batch.global);
    const data::SampleOrder order(parts.training->size(), parts.spec.seed, true);
    const BatchSchedule::Batch wanted = schedule.batch_after(step);
    std::vector<std::uint64_t> samples;
    for (std::uint64_t at = wanted.positions.first; at < wanted.positions.last; ++at)
      samples.push_back(order.sample_at(wanted.epoch, at));
    auto batch = parts.training->make_batch(samples, std::nullopt);
    if (!batch) throw std::runtime_error(batch.error().message);
    return *std::move(batch);
  }

  static void expect_near(const StateImage& image, const std::string& kind,
                          const std::vector<TensorSlot>& slots,
                          const std::map<std::string, torch::Tensor>& plain) {
    if (slots.empty()) return;
    const auto found = std::ranges::find(image.tensors, kind, &std::pair<std::string, Buffer>::first);
    ASSERT_NE(found, image.tensors.end()) << kind;
    std::vector<float> flat(found->second.bytes().size() / sizeof(float));
    std::memcpy(flat.data(), found->second.bytes().data(), flat.size() * sizeof(float));
    for (const TensorSlot& slot : slots) {
      ASSERT_TRUE(plain.contains(slot.name)) << slot.name;
      const torch::Tensor difference = (view(flat, slot) - plain.at(slot.name).detach()).abs();
      EXPECT_LT(difference.max().item<double>(), kTolerance) << slot.name;
    }
  }
};

std::string name_of(const testing::TestParamInfo<Way>& info) {
  return info.param.model + "_" + info.param.optimizer;
}

// With AdamW, but where a gradient is zero but for rounding (that of an attention's key bias, which softmax
// takes out, or of a bias in front of a batch norm): AdamW makes steps of the same size of whatever is left.
INSTANTIATE_TEST_SUITE_P(All, PlainTorch,
                         testing::Values(Way{"text_classifier", "adamw"}, Way{"lstm", "adamw"},
                                         Way{"resnet", "adamw"}, Way{"transformer", "sgd"},
                                         Way{"torchscript", "sgd"}),
                         name_of);

TEST_P(PlainTorch, TrainsToTheSameParametersInAnOrdinaryLoop) {
  const scheduler::JobSpec spec = recipe();
  if (spec.model.zoo.empty() && spec.model.torchscript.empty())
    GTEST_SKIP() << "python3-torch is not installed";
  constexpr std::uint64_t kSteps = 12;  // two epochs and a bit

  auto parts = make_parts(spec);
  ASSERT_TRUE(parts) << parts.error().message;
  ModelRequest request = parts->description.request;
  request.model.torchscript = spec.model.torchscript;  // a description does not know the file's place
  PlainModel plain = make_plain_model(request);
  const std::vector<float> initial(parts->model->parameters().begin(), parts->model->parameters().end());
  ASSERT_EQ(plain.parameters.size(), parts->description.parameters.size());
  {
    const torch::NoGradGuard no_grad;
    for (const TensorSlot& slot : parts->description.parameters) {
      ASSERT_TRUE(plain.parameters.contains(slot.name)) << slot.name;
      plain.parameters[slot.name].copy_(view(initial, slot));
    }
  }
  const auto optimizer = make_optimizer(plain, spec.optimizer);

  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    const data::Batch batch = batch_after(*parts, step);
    optimizer->zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        plain.forward(tensor_of(batch.fields.front().second)), tensor_of(*batch.find("label")));
    loss.backward();
    optimizer->step();
    const auto ours = session->run_step(one);
    ASSERT_TRUE(ours) << ours.error().message;
    EXPECT_NEAR(ours->loss, loss.item<double>(), kTolerance) << "step " << step;
  }

  const StateImage image = session->image(true);
  expect_near(image, "parameters", parts->description.parameters, plain.parameters);
  expect_near(image, "buffers", parts->description.buffers, plain.buffers);
  for (const TensorSlot& slot : parts->description.parameters) {
    const torch::Tensor moved = (plain.parameters[slot.name].detach() - view(initial, slot)).abs();
    EXPECT_GT(moved.max().item<double>(), 1'000 * kTolerance) << slot.name << " hardly moved";
  }
}

}  // namespace
}  // namespace ds::train
