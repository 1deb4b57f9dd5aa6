#include "kernels/optimizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace ds::kernels {
namespace {

using Kind = OptimizerKind;

constexpr std::array<std::array<double, 3>, 5> kGradients{
    {{0.5, -1, 0.25}, {0.1, 0.3, -0.7}, {-0.2, 0.9, 0.4}, {0.05, -0.6, 1.1}, {0.3, 0.2, -0.05}}};

/// Parameters and the optimizer's state, with the steps they are moved by.
template <class T>
struct Trained {
  std::vector<T> parameters;
  std::array<std::vector<T>, 2> state;

  explicit Trained(std::vector<T> start) : parameters(std::move(start)) {
    for (std::vector<T>& vector : state) vector.resize(parameters.size());
  }
  void step(const OptimizerOptions& options, std::uint64_t step, const std::vector<T>& gradient) {
    const std::array<std::span<T>, 2> spans{state[0], state[1]};
    optimizer_step(options, step, std::span<T>(parameters), std::span<const T>(gradient),
                   std::span(spans).first(count_state_vectors(options)));
  }
};

/// Five steps from (1, -2, 0.5), as the reference values were made.
template <class T>
std::vector<T> five_steps(const OptimizerOptions& options) {
  Trained<T> trained({T(1), T(-2), T(0.5)});
  for (std::size_t i = 0; i < kGradients.size(); ++i) {
    trained.step(options, i + 1, std::vector<T>(kGradients[i].begin(), kGradients[i].end()));
  }
  return trained.parameters;
}

/// The textbook's formulas, a number at a time.
std::vector<double> plain_steps(const OptimizerOptions& o) {
  std::vector<double> parameters{1, -2, 0.5};
  for (std::size_t i = 0; i < 3; ++i) {
    double p = parameters[i], velocity = 0, first = 0, second = 0;
    for (std::size_t step = 1; step <= kGradients.size(); ++step) {
      double g = kGradients[step - 1][i];
      if (o.kind == Kind::adamw) p -= o.lr * o.weight_decay * p;
      if (o.kind != Kind::adamw) g += o.weight_decay * p;
      if (o.kind == Kind::sgd) {
        velocity = o.momentum * velocity + g;
        p -= o.lr * (o.nesterov ? g + o.momentum * velocity : velocity);
        continue;
      }
      first = o.beta1 * first + (1 - o.beta1) * g;
      second = o.beta2 * second + (1 - o.beta2) * g * g;
      const double mean = first / (1 - std::pow(o.beta1, step));
      const double square = second / (1 - std::pow(o.beta2, step));
      p -= o.lr * mean / (std::sqrt(square) + o.eps);
    }
    parameters[i] = p;
  }
  return parameters;
}

/// Every kind with and without each of its settings.
std::vector<OptimizerOptions> all_options() {
  std::vector<OptimizerOptions> all;
  for (const double decay : {0.0, 0.1}) {
    for (const double momentum : {0.0, 0.9}) {
      all.push_back({.kind = Kind::sgd, .lr = 0.01, .momentum = momentum, .weight_decay = decay});
    }
    all.push_back({.kind = Kind::sgd, .lr = 0.01, .momentum = 0.9, .nesterov = true, .weight_decay = decay});
    all.push_back({.kind = Kind::adam, .lr = 0.01, .beta1 = 0.8, .weight_decay = decay});
    all.push_back({.kind = Kind::adamw, .lr = 0.01, .beta2 = 0.99, .weight_decay = decay});
  }
  return all;
}

template <class T, class Expected>
void expect_near(const std::vector<T>& actual, const Expected& expected, double tolerance) {
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << "parameter " << i;
}

constexpr std::array<double, 3> kWithDecay{0.965180602907, -1.976219129980, 0.484379242740};
constexpr std::array<double, 3> kAdam{0.970096384055, -1.986148656418, 0.486844468284};

TEST(Optimizer, MatchesValuesOfPyTorch) {
  expect_near(five_steps<double>({.lr = 0.01, .weight_decay = 0.1}), kWithDecay, 1e-12);
  expect_near(five_steps<double>({.kind = Kind::adam, .lr = 0.01}), kAdam, 1e-12);
  expect_near(five_steps<double>({.kind = Kind::adamw, .lr = 0.01}), kAdam, 1e-12);
}

TEST(Optimizer, MatchesAPlainLoopInDouble) {
  for (const OptimizerOptions& options : all_options()) {
    SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(options.kind) << ", momentum "
                                    << options.momentum << ", decay " << options.weight_decay);
    expect_near(five_steps<double>(options), plain_steps(options), 1e-13);
    expect_near(five_steps<float>(options), plain_steps(options), 5e-7);
  }
}

TEST(Optimizer, HasTheStateItSays) {
  EXPECT_EQ(count_state_vectors({.kind = Kind::sgd}), 0U);
  EXPECT_EQ(count_state_vectors({.kind = Kind::sgd, .momentum = 0.9}), 1U);
  EXPECT_EQ(count_state_vectors({.kind = Kind::adam}), 2U);
  EXPECT_EQ(count_state_vectors({.kind = Kind::adamw}), 2U);
}

TEST(Optimizer, GivesTheSameBitsHoweverTheVectorIsCut) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  const std::size_t size = 1003;
  std::vector<float> start(size), gradient(size);
  for (std::size_t i = 0; i < size; ++i) start[i] = normal(generator), gradient[i] = normal(generator);
  for (const OptimizerOptions& options : all_options()) {
    Trained<float> whole(start), cut(start);
    for (std::vector<float>& vector : whole.state)
      for (float& value : vector) value = std::abs(normal(generator));
    cut.state = whole.state;
    whole.step(options, 7, gradient);
    std::vector<std::jthread> threads;
    for (std::size_t begin = 0; begin < size; begin += 113) {
      threads.emplace_back([&cut, &gradient, &options, begin] {
        const std::size_t length = std::min<std::size_t>(113, cut.parameters.size() - begin);
        const std::array<std::span<float>, 2> state{std::span(cut.state[0]).subspan(begin, length),
                                                    std::span(cut.state[1]).subspan(begin, length)};
        optimizer_step(options, 7, std::span(cut.parameters).subspan(begin, length),
                       std::span<const float>(gradient).subspan(begin, length),
                       std::span(state).first(count_state_vectors(options)));
      });
    }
    threads.clear();
    EXPECT_EQ(whole.parameters, cut.parameters);
    EXPECT_EQ(whole.state, cut.state);
  }
}

TEST(Optimizer, LeavesAZeroAtZeroWhenItsGradientIsZero) {
  for (const OptimizerOptions& options : all_options()) {
    Trained<float> trained({0});
    for (std::uint64_t step = 1; step <= 10; ++step) trained.step(options, step, {0});
    EXPECT_EQ(trained.parameters[0], 0.0F);
  }
}

TEST(Optimizer, StaysFiniteAfterVeryManySteps) {
  Trained<float> trained({1});
  trained.step({}, 1'000'000'000'000ULL, {0.1F});
  EXPECT_TRUE(std::isfinite(trained.parameters[0]));
}

TEST(OptimizerDeathTest, EndsTheProcessAtStepZeroAndWithoutItsState) {
  Trained<float> trained({1});
  EXPECT_DEATH(trained.step({}, 0, {0.1F}), "");
  EXPECT_DEATH(trained.step({}, 1, {0.1F, 0.2F}), "");
  const std::vector<float> gradient{0.1F};
  EXPECT_DEATH(optimizer_step(OptimizerOptions{}, 1, std::span<float>(trained.parameters),
                              std::span<const float>(gradient), {}),
               "");
}

}  // namespace
}  // namespace ds::kernels
