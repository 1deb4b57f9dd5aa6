#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "actors/train/models/half_precision.hpp"

namespace ds::train {
namespace {

at::Tensor rounded(const at::Tensor& exact) {
  return exact.to(at::kHalf).to(at::kFloat);
}

at::Tensor numbers_like(std::initializer_list<std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return at::arange(count).to(at::kFloat).mul(0.7003).sin().mul(3.001).reshape(shape);
}

TEST(HalfPrecision, RoundsWhatProductsTakeAndGive) {
  const at::Tensor x = numbers_like({5, 7}), weight = numbers_like({3, 7}), bias = numbers_like({3});
  const at::Tensor expected = rounded(at::linear(rounded(x), rounded(weight), rounded(bias)));
  EXPECT_FALSE(at::equal(at::linear(x, weight, bias), expected));
  {
    const HalfPrecision half(true);
    EXPECT_TRUE(at::equal(at::linear(x, weight, bias), expected));
    EXPECT_TRUE(at::equal(at::addmm(bias, x, weight.t()), expected));
    EXPECT_TRUE(at::equal(x.add(1e-5), x + 1e-5)) << "a sum is not rounded";
  }
  const HalfPrecision off(false);
  EXPECT_FALSE(at::equal(at::linear(x, weight, bias), expected));
}

TEST(HalfPrecision, RoundsConvolutionsAndBatchesOfProducts) {
  const HalfPrecision half(true);
  const at::Tensor image = numbers_like({2, 3, 6, 6}), kernel = numbers_like({4, 3, 3, 3});
  const at::Tensor a = numbers_like({2, 3, 4}), b = numbers_like({2, 4, 5});
  for (const at::Tensor& result : {at::conv2d(image, kernel), at::bmm(a, b), at::matmul(a, b)})
    EXPECT_TRUE(at::equal(result, rounded(result)));
}

TEST(HalfPrecision, HasGradientsThatOverflowAndVanishAsBinary16Does) {
  const at::Tensor x = at::ones({1, 1}).requires_grad_(), weight = at::ones({1, 1}).requires_grad_();
  const auto gradient_of = [&](double scale) {
    x.mutable_grad() = at::Tensor();
    at::Tensor y;
    {
      const HalfPrecision half(true);
      y = at::linear(x, weight);
    }
    (y * scale).sum().backward();
    return x.grad().item<double>();
  };
  EXPECT_EQ(gradient_of(1), 1);
  EXPECT_EQ(gradient_of(65504), 65504);
  EXPECT_EQ(gradient_of(65536), std::numeric_limits<double>::infinity());
  EXPECT_EQ(gradient_of(1e-8), 0);
  EXPECT_EQ(gradient_of(0.1), 0.0999755859375);
}

}  // namespace
}  // namespace ds::train
