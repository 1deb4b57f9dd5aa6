#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <cstring>

#include "actors/data/sample_order.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/session_parts.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

/// `text_classifier` written with torch's own modules.
struct PlainClassifier : torch::nn::Module {
  PlainClassifier(std::int64_t vocabulary, std::int64_t width, std::int64_t classes)
      : embedding(torch::nn::EmbeddingOptions(vocabulary, width).padding_idx(0)),
        convolution(torch::nn::Conv1dOptions(width, width, 3).padding(1)),
        output(width, classes) {
    register_module("embedding", embedding);
    register_module("convolution", convolution);
    register_module("output", output);
  }

  torch::Tensor forward(const torch::Tensor& words) {
    const torch::Tensor features = torch::relu(convolution(embedding(words).transpose(1, 2)));
    const torch::Tensor absent = words.eq(0).unsqueeze(1);
    return output(std::get<0>(features.masked_fill(absent, 0).max(2)));
  }

  torch::nn::Embedding embedding;
  torch::nn::Conv1d convolution;
  torch::nn::Linear output;
};

torch::Tensor tensor_of(const data::HostTensor& tensor) {
  return torch::from_blob(const_cast<std::byte*>(tensor.bytes.bytes().data()), tensor.shape, torch::kInt64)
      .clone();
}

class PlainTorch : public TrainingJob {};

TEST_F(PlainTorch, TrainsToTheSameParametersInAnOrdinaryLoop) {
  scheduler::JobSpec spec = job();
  spec.model.settings["dropout"] = {0};
  spec.optimizer.lr = 1e-3;
  spec.optimizer.weight_decay = 0.1;
  constexpr std::uint64_t kSteps = 12;  // two epochs and a bit

  auto parts = make_parts(spec);
  ASSERT_TRUE(parts) << parts.error().message;
  const ModelRequest& request = parts->description.request;
  PlainClassifier model(request.vocabulary, 16, request.classes);
  const std::vector<float> initial(parts->model->parameters().begin(), parts->model->parameters().end());
  auto named = model.named_parameters();
  const auto view = [](const std::vector<float>& flat, const TensorSlot& slot) {
    return torch::from_blob(const_cast<float*>(flat.data()) + slot.offset, slot.shape);
  };
  {
    const torch::NoGradGuard no_grad;
    for (const TensorSlot& slot : parts->description.parameters) named[slot.name].copy_(view(initial, slot));
  }
  torch::optim::AdamW optimizer(model.parameters(), torch::optim::AdamWOptions(spec.optimizer.lr)
                                                        .betas({spec.optimizer.beta1, spec.optimizer.beta2})
                                                        .eps(spec.optimizer.eps)
                                                        .weight_decay(spec.optimizer.weight_decay));
  const BatchSchedule schedule(parts->training->size(), spec.batch.global);
  const data::SampleOrder order(parts->training->size(), spec.seed, true);

  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    const BatchSchedule::Batch wanted = schedule.batch_after(step);
    std::vector<std::uint64_t> samples;
    for (std::uint64_t at = wanted.positions.first; at < wanted.positions.last; ++at)
      samples.push_back(order.sample_at(wanted.epoch, at));
    const auto batch = parts->training->make_batch(samples, std::nullopt);
    ASSERT_TRUE(batch) << batch.error().message;
    optimizer.zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        model.forward(tensor_of(*batch->find("text"))), tensor_of(*batch->find("label")));
    loss.backward();
    optimizer.step();
    const auto ours = session->run_step(one);
    ASSERT_TRUE(ours);
    EXPECT_NEAR(ours->loss, loss.item<double>(), 1e-6) << "step " << step;
  }

  const StateImage image = session->image(true);
  std::vector<float> flat(initial.size());
  std::memcpy(flat.data(), image.tensors[0].second.bytes().data(), flat.size() * sizeof(float));
  for (const TensorSlot& slot : parts->description.parameters) {
    const torch::Tensor ours = view(flat, slot);
    const double difference = (ours - named[slot.name].detach()).abs().max().item<double>();
    EXPECT_LT(difference, 1e-6) << slot.name;
    EXPECT_GT((ours - view(initial, slot)).abs().max().item<double>(), 5e-3) << slot.name << " hardly moved";
  }
}

}  // namespace
}  // namespace ds::train
