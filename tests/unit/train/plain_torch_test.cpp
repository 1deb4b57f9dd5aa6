#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <cstring>

#include "actors/train/batch_schedule.hpp"
#include "actors/train/model_shape.hpp"
#include "actors/train/sample_order.hpp"
#include "actors/train/session_data.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

/// The same model written with torch's own modules.
struct PlainClassifier : torch::nn::Module {
  explicit PlainClassifier(const ModelShape& shape)
      : embedding(torch::nn::EmbeddingOptions(shape.vocabulary, shape.width).padding_idx(0)),
        convolution(torch::nn::Conv1dOptions(shape.width, shape.width, 3).padding(1)),
        output(shape.width, shape.classes) {
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

void set_parameters(PlainClassifier& model, const ModelShape& shape, std::uint64_t seed) {
  std::vector<float> flat(parameter_count(shape));
  write_initial_parameters(shape, seed, flat);
  const torch::NoGradGuard no_grad;
  auto named = model.named_parameters();
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    named[slot.name].copy_(torch::from_blob(flat.data() + slot.offset, slot.shape));
  }
}

std::pair<torch::Tensor, torch::Tensor> rows_of(const SessionData& data, const SampleOrder& order,
                                                const BatchSchedule::Batch& batch) {
  std::vector<std::int64_t> words, labels;
  for (std::uint64_t at = batch.positions.first; at < batch.positions.last; ++at) {
    const std::uint64_t row = order.sample_at(batch.epoch, at);
    const auto of_row = data.training.words_of(row);
    words.insert(words.end(), of_row.begin(), of_row.end());
    labels.push_back(data.training.labels[row]);
  }
  const auto count = static_cast<std::int64_t>(labels.size());
  return {torch::tensor(words).view({count, -1}), torch::tensor(labels)};
}

class PlainTorch : public TrainingJob {};

TEST_F(PlainTorch, TrainsToTheSameParametersInAnOrdinaryLoop) {
  scheduler::JobSpec spec = job();
  spec.model.settings["dropout"] = {0};
  spec.optimizer.lr = 1e-3;
  spec.optimizer.weight_decay = 0.1;
  constexpr std::uint64_t kSteps = 12;  // two epochs and a bit

  const auto data = load_session_data(spec);
  ASSERT_TRUE(data);
  const ModelShape& shape = data->description.model;
  PlainClassifier model(shape);
  set_parameters(model, shape, spec.seed);
  torch::optim::AdamW optimizer(model.parameters(), torch::optim::AdamWOptions(spec.optimizer.lr)
                                                        .betas({spec.optimizer.beta1, spec.optimizer.beta2})
                                                        .eps(spec.optimizer.eps)
                                                        .weight_decay(spec.optimizer.weight_decay));
  const BatchSchedule schedule(data->training.size(), spec.batch.global);
  const SampleOrder order(data->training.size(), spec.seed, true);

  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    const auto [words, labels] = rows_of(*data, order, schedule.batch_after(step));
    optimizer.zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(model.forward(words), labels);
    loss.backward();
    optimizer.step();
    const auto ours = session->run_step(one);
    ASSERT_TRUE(ours);
    EXPECT_NEAR(ours->loss, loss.item<double>(), 1e-6) << "step " << step;
  }

  const StateImage image = session->image(true);
  std::vector<float> flat(parameter_count(shape));
  std::memcpy(flat.data(), image.tensors[0].second.bytes().data(), flat.size() * sizeof(float));
  std::vector<float> initial(flat.size());
  write_initial_parameters(shape, spec.seed, initial);
  const auto named = model.named_parameters();
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    const torch::Tensor ours = torch::from_blob(flat.data() + slot.offset, slot.shape);
    const double difference = (ours - named[slot.name].detach()).abs().max().item<double>();
    EXPECT_LT(difference, 1e-6) << slot.name;
    const torch::Tensor begin = torch::from_blob(initial.data() + slot.offset, slot.shape);
    EXPECT_GT((ours - begin).abs().max().item<double>(), 5e-3) << slot.name << " hardly moved";
  }
}

}  // namespace
}  // namespace ds::train
