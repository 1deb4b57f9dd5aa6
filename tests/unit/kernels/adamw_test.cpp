#include "kernels/adamw.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

constexpr std::array<std::array<double, 3>, 5> kGradients{
    {{0.5, -1, 0.25}, {0.1, 0.3, -0.7}, {-0.2, 0.9, 0.4}, {0.05, -0.6, 1.1}, {0.3, 0.2, -0.05}}};

/// Five steps from (1, -2, 0.5), as the reference values were made.
template <class T>
std::vector<T> five_steps(const AdamwOptions& options) {
  std::vector<T> parameters{T(1), T(-2), T(0.5)};
  std::vector<T> first(3), second(3);
  for (std::size_t i = 0; i < kGradients.size(); ++i) {
    const std::vector<T> gradient(kGradients[i].begin(), kGradients[i].end());
    adamw_step(parameters, gradient, first, second, options, i + 1);
  }
  return parameters;
}

template <class T>
void expect_near(const std::vector<T>& actual, const std::array<double, 3>& expected, double tolerance) {
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << "parameter " << i;
}

constexpr std::array<double, 3> kWithDecay{0.965180602907, -1.976219129980, 0.484379242740};
constexpr std::array<double, 3> kAdam{0.970096384055, -1.986148656418, 0.486844468284};

TEST(Adamw, MatchesPyTorchInDouble) {
  expect_near(five_steps<double>({.lr = 0.01, .weight_decay = 0.1}), kWithDecay, 1e-12);
}

TEST(Adamw, MatchesPyTorchInFloat) {
  expect_near(five_steps<float>({.lr = 0.01, .weight_decay = 0.1}), kWithDecay, 5e-7);
}

TEST(Adamw, IsAdamWithoutDecay) {
  expect_near(five_steps<double>({.lr = 0.01, .weight_decay = 0}), kAdam, 1e-12);
}

TEST(Adamw, GivesTheSameBitsHoweverTheVectorIsCut) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  const std::size_t size = 1003;
  std::vector<float> whole(size), gradient(size), first(size), second(size);
  for (std::size_t i = 0; i < size; ++i) {
    whole[i] = normal(generator), gradient[i] = normal(generator);
    first[i] = normal(generator), second[i] = std::abs(normal(generator));
  }
  std::vector<float> cut = whole, cut_first = first, cut_second = second;
  adamw_step(whole, gradient, first, second, {}, 7);
  for (std::size_t begin = 0; begin < size; begin += 13) {
    const std::size_t length = std::min<std::size_t>(13, size - begin);
    adamw_step(std::span(cut).subspan(begin, length), std::span<const float>(gradient).subspan(begin, length),
               std::span(cut_first).subspan(begin, length), std::span(cut_second).subspan(begin, length), {},
               7);
  }
  EXPECT_EQ(whole, cut);
  EXPECT_EQ(first, cut_first);
  EXPECT_EQ(second, cut_second);
}

TEST(Adamw, LeavesAZeroAtZeroWhenItsGradientIsZero) {
  std::vector<float> parameter{0}, gradient{0}, first{0}, second{0};
  for (std::uint64_t step = 1; step <= 10; ++step) {
    adamw_step(parameter, gradient, first, second, {.weight_decay = 0.1}, step);
  }
  EXPECT_EQ(parameter[0], 0.0F);
}

TEST(Adamw, StaysFiniteAfterVeryManySteps) {
  std::vector<float> parameter{1}, gradient{0.1F}, first{0}, second{0};
  adamw_step(parameter, gradient, first, second, {}, 1'000'000'000'000ULL);
  EXPECT_TRUE(std::isfinite(parameter[0]));
}

TEST(AdamwDeathTest, EndsTheProcessAtStepZero) {
  std::vector<float> parameter{1}, gradient{0.1F}, first{0}, second{0};
  EXPECT_DEATH(adamw_step(parameter, gradient, first, second, {}, 0), "");
}

}  // namespace
}  // namespace ds::kernels
