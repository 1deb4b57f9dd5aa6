#include <gtest/gtest.h>
#include <torch/torch.h>

#include <array>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/gradient.hpp"
#include "kernels/loss_scaler.hpp"
#include "kernels/optimizer.hpp"

namespace ds::kernels {
namespace {

using Kind = OptimizerKind;

constexpr std::int64_t kSize = 1000;
constexpr std::uint64_t kSteps = 50;

std::unique_ptr<torch::optim::Optimizer> make_torch(const OptimizerOptions& o,
                                                    const torch::Tensor& parameter) {
  const std::vector<torch::Tensor> parameters{parameter};
  if (o.kind == Kind::sgd) {
    return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(o.lr)
                                                               .momentum(o.momentum)
                                                               .nesterov(o.nesterov)
                                                               .weight_decay(o.weight_decay));
  }
  if (o.kind == Kind::adam) {
    return std::make_unique<torch::optim::Adam>(
        parameters,
        torch::optim::AdamOptions(o.lr).betas({o.beta1, o.beta2}).eps(o.eps).weight_decay(o.weight_decay));
  }
  return std::make_unique<torch::optim::AdamW>(
      parameters,
      torch::optim::AdamWOptions(o.lr).betas({o.beta1, o.beta2}).eps(o.eps).weight_decay(o.weight_decay));
}

std::vector<float> random_vector(std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(kSize);
  for (float& value : vector) value = normal(random);
  return vector;
}

torch::Tensor to_tensor(std::vector<float>& vector) {
  return torch::from_blob(vector.data(), {kSize}, torch::kFloat32).clone();
}

/// The largest difference after `kSteps` steps with clipped gradients.
double difference(const OptimizerOptions& options) {
  std::mt19937 random(9);
  std::vector<float> ours = random_vector(random);
  torch::Tensor theirs = to_tensor(ours).requires_grad_(true);
  const auto optimizer = make_torch(options, theirs);
  std::array<std::vector<float>, 2> memory{std::vector<float>(kSize), std::vector<float>(kSize)};
  const std::array<std::span<float>, 2> state{memory[0], memory[1]};
  for (std::uint64_t step = 1; step <= kSteps; ++step) {
    std::vector<float> gradient = random_vector(random);
    theirs.mutable_grad() = to_tensor(gradient);
    const double norm = torch::nn::utils::clip_grad_norm_(theirs, 20.0);
    EXPECT_NEAR(norm_of(gradient), norm, 1e-3);
    torch::nn::utils::clip_grad_value_(theirs, 1.5);
    scale(gradient, clip_factor(norm_of(gradient), 20.0));
    clip_value(gradient, 1.5F);
    optimizer->step();
    optimizer_step(options, step, std::span(ours), std::span<const float>(gradient),
                   std::span(state).first(count_state_vectors(options)));
  }
  return (theirs.detach() - to_tensor(ours)).abs().max().item<double>();
}

TEST(TorchComparison, OfEveryOptimizerOverFiftySteps) {
  for (const double decay : {0.0, 0.1}) {
    const std::vector<OptimizerOptions> all{
        {.kind = Kind::sgd, .lr = 0.01, .weight_decay = decay},
        {.kind = Kind::sgd, .lr = 0.01, .momentum = 0.9, .weight_decay = decay},
        {.kind = Kind::sgd, .lr = 0.01, .momentum = 0.9, .nesterov = true, .weight_decay = decay},
        {.kind = Kind::adam, .lr = 0.01, .weight_decay = decay},
        {.kind = Kind::adamw, .lr = 0.01, .weight_decay = decay}};
    for (const OptimizerOptions& options : all) {
      EXPECT_LT(difference(options), 2e-6) << "kind " << static_cast<int>(options.kind) << ", momentum "
                                           << options.momentum << ", decay " << decay;
    }
  }
}

TEST(TorchComparison, OfTheLossScaler) {
  torch::Tensor their_scale = torch::full({1}, 65536.0F), overflow = torch::zeros({1});
  torch::Tensor clean = torch::zeros({1}, torch::kInt32);
  LossScaler ours;
  std::mt19937 random(10);
  for (int step = 0; step < 100'000; ++step) {
    const bool overflowed = random() % 2500 == 0;
    overflow.fill_(overflowed ? 1.0F : 0.0F);
    try {
      at::_amp_update_scale_(their_scale, clean, overflow, 2.0, 0.5, LossScaler::kGrowthInterval);
    } catch (const c10::Error&) {
      GTEST_SKIP() << "this libtorch updates scales on GPUs alone";
    }
    ours.update(overflowed);
    ASSERT_EQ(ours.scale, their_scale.item<float>()) << "step " << step;
    ASSERT_EQ(ours.clean_steps, static_cast<std::uint32_t>(clean.item<int>())) << "step " << step;
  }
}

}  // namespace
}  // namespace ds::kernels
