#include "kernels/gradient.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_vector(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> vector(size);
  for (float& value : vector) value = normal(generator);
  return vector;
}

TEST(GradientNorm, IsTheRootOfTheSumOfSquares) {
  EXPECT_EQ(norm_of({}), 0);
  EXPECT_EQ(norm_of(std::vector<float>{3, -4}), 5);
  for (const std::size_t size :
       {1UL, 15UL, 17UL, kNormBlock - 1, kNormBlock, kNormBlock + 1, 5 * kNormBlock + 77}) {
    const std::vector<float> vector = random_vector(size, 1);
    long double sum = 0;
    for (const float value : vector) sum += static_cast<long double>(value) * value;
    EXPECT_NEAR(norm_of(vector), static_cast<double>(std::sqrt(sum)), 1e-12 * static_cast<double>(size));
    EXPECT_EQ(std::sqrt(squared_norm_of(vector)), norm_of(vector));
  }
}

TEST(GradientNorm, IsTheSameBitsWhoeverSumsWhichBlocks) {
  const std::vector<float> vector = random_vector(7 * kNormBlock + 5, 2);
  for (std::size_t cut = 0; cut <= 8; ++cut) {
    std::vector<double> sums(8);
    const std::size_t first = std::min(cut * kNormBlock, vector.size());
    sum_squares(std::span(vector).subspan(first), std::span(sums).subspan(cut));
    sum_squares(std::span(vector).first(first), std::span(sums).first(cut));
    EXPECT_EQ(std::sqrt(add_in_tree(sums)), norm_of(vector));
  }
}

TEST(GradientNorm, AddsInAFixedTree) {
  const double tiny = 0x1p-53;
  EXPECT_EQ(add_in_tree(std::vector<double>{1, tiny, tiny}), 1) << "(1 + tiny) + tiny";
  EXPECT_EQ(add_in_tree(std::vector<double>{1, 0, tiny, tiny}), 1 + 2 * tiny) << "(1 + 0) + (tiny + tiny)";
  EXPECT_EQ(add_in_tree({}), 0);
}

TEST(GradientNorm, IsFiniteForFiniteElementsAlone) {
  const std::vector<float> largest(10'000, std::numeric_limits<float>::max());
  EXPECT_NEAR(norm_of(largest) / static_cast<double>(largest[0]), 100, 1e-11);
  EXPECT_EQ(norm_of(std::vector<float>{1, -kInfinity}), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(norm_of(std::vector<float>{kNan, 1})));
}

TEST(GradientClipping, ScalesToTheNormAndNotBeyond) {
  std::vector<float> vector = random_vector(10'000, 3);
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_EQ(clip_factor(0, 1), 1);
  EXPECT_FLOAT_EQ(clip_factor(4, 1), 0.25F);
  EXPECT_TRUE(std::isnan(clip_factor(std::nan(""), 1)));
  scale(vector, clip_factor(norm_of(vector), 1.5));
  EXPECT_NEAR(norm_of(vector), 1.5, 1e-5);
}

TEST(GradientClipping, CutsEachElement) {
  std::vector<float> vector{-3, -1, 0, 0.5F, 2, kInfinity, -kInfinity, kNan};
  clip_value(vector, 1);
  EXPECT_EQ(std::vector<float>(vector.begin(), vector.begin() + 7),
            (std::vector<float>{-1, -1, 0, 0.5F, 1, 1, -1}));
  EXPECT_TRUE(std::isnan(vector[7]));
}

TEST(NotFinite, IsFoundWhereItStandsFirst) {
  std::vector<float> vector = random_vector(3 * kNormBlock + 9, 4);
  EXPECT_EQ(find_not_finite(vector), std::nullopt);
  EXPECT_EQ(find_not_finite({}), std::nullopt);
  for (const std::size_t place : {vector.size() - 1, kNormBlock + 1, kNormBlock, 3UL}) {
    vector[place] = place % 2 == 0 ? kNan : -kInfinity;
    EXPECT_EQ(find_not_finite(vector), place);
  }
}

}  // namespace
}  // namespace ds::kernels
