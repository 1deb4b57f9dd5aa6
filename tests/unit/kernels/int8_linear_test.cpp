#include "kernels/int8_linear.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// All that this processor runs.
std::vector<Int8Code> codes() {
  std::vector<Int8Code> all{Int8Code::portable};
  if (best_int8_code() != Int8Code::portable) all.push_back(Int8Code::avx2);
  if (best_int8_code() == Int8Code::avx512_vnni) all.push_back(Int8Code::avx512_vnni);
  return all;
}

struct Layer {
  std::size_t rows, inputs, outputs;
  std::vector<float> values, weights, bias;
};

Layer random_layer(std::mt19937& random, std::size_t rows, std::size_t inputs, std::size_t outputs) {
  std::normal_distribution<float> normal;
  Layer layer{rows, inputs, outputs, {}, {}, {}};
  for (std::size_t i = 0; i < rows * inputs; ++i) layer.values.push_back(normal(random));
  for (std::size_t i = 0; i < outputs * inputs; ++i) layer.weights.push_back(normal(random));
  for (std::size_t i = 0; i < outputs; ++i) layer.bias.push_back(normal(random));
  return layer;
}

/// With room behind every row, which must stay as it is.
std::vector<float> run(const Layer& layer, const Int8Weights& weights, bool has_bias, Int8Code code,
                       std::size_t stride) {
  Int8Rows rows;
  rows.quantize(layer.values, layer.rows, layer.inputs, code);
  std::vector<float> out(layer.rows * stride, -77);
  const std::span<const float> bias =
      has_bias ? std::span<const float>(layer.bias) : std::span<const float>();
  int8_linear(weights, rows, bias, out.data(), stride, 0, weights.panels(), code);
  return out;
}

TEST(Int8Linear, IsTheExactSumOfWhatWasQuantizedForEveryShape) {
  std::mt19937 random(7);
  for (int round = 0; round < 120; ++round) {
    const std::size_t rows = random() % 20, inputs = 1 + random() % 70, outputs = 1 + random() % 70;
    const Layer layer = random_layer(random, rows, inputs, outputs);
    const auto weights = Int8Weights::pack(layer.weights, outputs, inputs);
    ASSERT_TRUE(weights);
    const bool has_bias = round % 2 == 0;
    for (const Int8Code code : codes()) {
      Int8Rows whole;
      whole.quantize(layer.values, rows, inputs, code);
      const std::size_t stride = outputs + 3;
      const auto out = run(layer, *weights, has_bias, code, stride);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t o = 0; o < outputs; ++o) {
          std::int64_t sum = 0;
          for (std::size_t i = 0; i < inputs; ++i)
            sum += (std::int64_t{whole.row(r)[i]} - whole.zero(r)) * weights->at(o, i);
          float expected = static_cast<float>(sum) * (whole.scale(r) * weights->scales()[o]);
          if (has_bias) expected = expected + layer.bias[o];
          ASSERT_EQ(out[r * stride + o], expected)
              << "code " << static_cast<int>(code) << ", " << rows << " x " << inputs << " x " << outputs;
        }
        for (std::size_t o = outputs; o < stride; ++o) ASSERT_EQ(out[r * stride + o], -77) << "beyond a row";
      }
    }
  }
}

TEST(Int8Linear, GivesTheSameBitsWhateverTheProcessor) {
  std::mt19937 random(8);
  for (const std::size_t inputs : {1U, 3U, 4U, 63U, 256U, 1000U}) {
    const Layer layer = random_layer(random, 33, inputs, 130);
    const auto weights = Int8Weights::pack(layer.weights, 130, inputs);
    const auto expected = run(layer, *weights, true, Int8Code::portable, 130);
    for (const Int8Code code : codes()) EXPECT_EQ(run(layer, *weights, true, code, 130), expected) << inputs;
  }
}

TEST(Int8Linear, IsCloseToTheFloatLayer) {
  std::mt19937 random(9);
  const Layer layer = random_layer(random, 32, 512, 256);
  const auto out = run(layer, *Int8Weights::pack(layer.weights, 256, 512), true, best_int8_code(), 256);
  double wrong = 0, all = 0;
  for (std::size_t r = 0; r < 32; ++r) {
    for (std::size_t o = 0; o < 256; ++o) {
      double exact = layer.bias[o];
      for (std::size_t i = 0; i < 512; ++i)
        exact += double{layer.values[r * 512 + i]} * layer.weights[o * 512 + i];
      wrong += std::pow(out[r * 256 + o] - exact, 2);
      all += exact * exact;
    }
  }
  EXPECT_LT(std::sqrt(wrong / all), 0.013);
}

TEST(Int8Linear, TakesTheLargestSums) {
  Layer layer{3, kMostInt8Inputs, 17, {}, {}, {}};
  for (const float sign : {1.0F, 1.0F, -1.0F}) layer.values.insert(layer.values.end(), layer.inputs, sign);
  layer.weights.assign(layer.inputs * layer.outputs, -1);
  const auto weights = Int8Weights::pack(layer.weights, layer.outputs, layer.inputs);
  ASSERT_TRUE(weights);
  for (const Int8Code code : codes()) {
    const auto out = run(layer, *weights, false, code, layer.outputs);
    EXPECT_NEAR(out[0], -65'536, 1);
    EXPECT_NEAR(out[2 * layer.outputs + 16], 65'536, 1);
  }
}

TEST(Int8Linear, MakesARowThatIsNotFiniteNaNAndLeavesTheOthers) {
  std::mt19937 random(10);
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::quiet_NaN()}) {
    Layer layer = random_layer(random, 3, 21, 18);
    const auto weights = Int8Weights::pack(layer.weights, 18, 21);
    for (const Int8Code code : codes()) {
      const auto whole = run(layer, *weights, true, code, 18);
      Layer broken = layer;
      broken.values[21 + 20] = bad;
      const auto out = run(broken, *weights, true, code, 18);
      for (std::size_t o = 0; o < 18; ++o) {
        EXPECT_EQ(out[o], whole[o]);
        EXPECT_TRUE(std::isnan(out[18 + o])) << bad;
        EXPECT_EQ(out[36 + o], whole[36 + o]);
      }
    }
  }
}

TEST(Int8Linear, KeepsZerosAndTheRangeOfEveryRow) {
  const float most = std::numeric_limits<float>::max() / 2, least = std::numeric_limits<float>::denorm_min();
  const std::vector<float> values{0, 0, 0, most, -most, 0, 100, 101, 0, -3, -1, 0, least, -least, 0};
  for (const Int8Code code : codes()) {
    Int8Rows rows;
    rows.quantize(values, 5, 3, code);
    const auto value = [&](std::size_t row, std::size_t i) {
      return static_cast<float>(int{rows.row(row)[i]} - rows.zero(row)) * rows.scale(row);
    };
    for (std::size_t row = 0; row < 5; ++row) {
      EXPECT_EQ(value(row, 2), row == 0 ? 0 : values[row * 3 + 2]) << row;
      EXPECT_EQ(rows.row(row)[3], 0) << "what fills a row up";
    }
    EXPECT_NEAR(value(1, 0) / most, 1, 0.01);
    EXPECT_NEAR(value(1, 1) / most, -1, 0.01);
    EXPECT_NEAR(value(2, 0), 100, 0.5);
    EXPECT_NEAR(value(3, 0), -3, 0.02);
    EXPECT_EQ(value(4, 0), 0) << "too small to have a scale";
  }
}

TEST(Int8Weights, AreRefusedWhereTheyAreNoNumbers) {
  const std::vector<float> good(64, 1);
  EXPECT_TRUE(Int8Weights::pack(good, 8, 8));
  EXPECT_FALSE(Int8Weights::pack(good, 8, 9));
  EXPECT_FALSE(Int8Weights::pack({}, 0, 0));
  EXPECT_FALSE(Int8Weights::pack(std::vector<float>(kMostInt8Inputs + 1), 1, kMostInt8Inputs + 1));
  for (const float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> weights = good;
    weights[63] = bad;
    EXPECT_FALSE(Int8Weights::pack(weights, 8, 8));
  }
}

TEST(Int8Weights, AreTheSameTransposed) {
  std::mt19937 random(11);
  const Layer layer = random_layer(random, 1, 19, 37);
  std::vector<float> transposed(layer.weights.size());
  for (std::size_t o = 0; o < 37; ++o) {
    for (std::size_t i = 0; i < 19; ++i) transposed[i * 37 + o] = layer.weights[o * 19 + i];
  }
  const auto one = Int8Weights::pack(layer.weights, 37, 19),
             other = Int8Weights::pack(transposed, 37, 19, true);
  EXPECT_EQ(run(layer, *one, true, best_int8_code(), 37), run(layer, *other, true, best_int8_code(), 37));
}

TEST(Int8Weights, OfZerosGiveTheBias) {
  Layer layer{2, 20, 5, std::vector<float>(40, 3), std::vector<float>(100, 0), {1, 2, 3, 4, 5}};
  const auto out = run(layer, *Int8Weights::pack(layer.weights, 5, 20), true, best_int8_code(), 5);
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 4, 5, 1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace ds::kernels
