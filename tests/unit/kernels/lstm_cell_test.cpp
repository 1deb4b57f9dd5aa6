#include "kernels/lstm_cell.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

std::vector<Int8Code> codes() {
  std::vector<Int8Code> all{Int8Code::portable};
  if (best_int8_code() != Int8Code::portable) all.push_back(Int8Code::avx2);
  if (best_int8_code() == Int8Code::avx512_vnni) all.push_back(Int8Code::avx512_vnni);
  return all;
}

std::vector<float> random_numbers(std::mt19937& random, std::size_t count, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> numbers(count);
  for (float& number : numbers) number = normal(random);
  return numbers;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

TEST(LstmCells, AreWithinAMillionthOfTheExactOnesAndTheSameBitsEverywhere) {
  std::mt19937 random(3);
  for (const std::size_t width : {1U, 7U, 16U, 33U}) {
    const std::size_t rows = 5;
    const auto gates = random_numbers(random, rows * 4 * width, 20);
    const auto more = random_numbers(random, rows * 4 * width, 2);
    const auto before = random_numbers(random, rows * width, 2);
    std::vector<float> first_cell, first_hidden;
    for (const Int8Code code : codes()) {
      auto cell = before;
      std::vector<float> hidden(rows * width);
      lstm_cells(gates.data(), more.data(), rows, width, cell.data(), hidden.data(), code);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = 0; i < width; ++i) {
          const auto gate = [&](std::size_t number) {
            const std::size_t place = (r * 4 + number) * width + i;
            return double{gates[place]} + double{more[place]};
          };
          const double next =
              sigmoid(gate(1)) * before[r * width + i] + sigmoid(gate(0)) * std::tanh(gate(2));
          EXPECT_NEAR(cell[r * width + i], next, 1e-6 * (1 + std::fabs(next)));
          EXPECT_NEAR(hidden[r * width + i], sigmoid(gate(3)) * std::tanh(next), 2e-6);
        }
      }
      if (first_cell.empty()) {
        first_cell = cell;
        first_hidden = hidden;
      }
      EXPECT_EQ(cell, first_cell);
      EXPECT_EQ(hidden, first_hidden);
    }
  }
}

TEST(LstmCells, SaturateAndKeepNaN) {
  for (const Int8Code code : codes()) {
    for (const float extreme : {1e30F, -1e30F, std::numeric_limits<float>::infinity()}) {
      const std::vector<float> gates(4, extreme), none(4, 0);
      float cell = 1, hidden = 0;
      lstm_cells(gates.data(), none.data(), 1, 1, &cell, &hidden, code);
      EXPECT_NEAR(cell, extreme > 0 ? 2 : 0, 1e-6);
      EXPECT_NEAR(hidden, extreme > 0 ? std::tanh(2.0) : 0, 1e-6);
    }
    const std::vector<float> gates(4, std::numeric_limits<float>::quiet_NaN()), none(4, 0);
    float cell = 1, hidden = 0;
    lstm_cells(gates.data(), none.data(), 1, 1, &cell, &hidden, code);
    EXPECT_TRUE(std::isnan(cell) && std::isnan(hidden));
  }
}

/// The layer with exact sums of the quantized weights, in doubles.
std::vector<double> exact_run(const Int8Weights& weights, const std::vector<float>& bias,
                              const std::vector<std::int64_t>& steps, const std::vector<float>& gates,
                              bool is_reverse, std::vector<double> hidden, std::vector<double> cell) {
  const std::size_t width = weights.inputs();
  std::vector<std::size_t> first(steps.size(), 0);
  for (std::size_t t = 1; t < steps.size(); ++t)
    first[t] = first[t - 1] + static_cast<std::size_t>(steps[t - 1]);
  std::vector<double> out(gates.size() / 4);
  for (std::size_t n = 0; n < steps.size(); ++n) {
    const std::size_t t = is_reverse ? steps.size() - 1 - n : n;
    for (std::size_t r = 0; r < static_cast<std::size_t>(steps[t]); ++r) {
      std::vector<double> sums(4 * width);
      for (std::size_t o = 0; o < 4 * width; ++o) {
        sums[o] = double{gates[(first[t] + r) * 4 * width + o]} + double{bias[o]};
        for (std::size_t i = 0; i < width; ++i)
          sums[o] += hidden[r * width + i] * weights.at(o, i) * double{weights.scales()[o]};
      }
      for (std::size_t i = 0; i < width; ++i) {
        double& c = cell[r * width + i];
        c = sigmoid(sums[width + i]) * c + sigmoid(sums[i]) * std::tanh(sums[2 * width + i]);
        out[(first[t] + r) * width + i] = hidden[r * width + i] = sigmoid(sums[3 * width + i]) * std::tanh(c);
      }
    }
  }
  return out;
}

TEST(Int8Lstm, RunsSequencesThatEndEarlyInBothDirections) {
  std::mt19937 random(4);
  const std::size_t width = 24;
  const std::vector<std::int64_t> steps{5, 5, 3, 1};
  const std::size_t rows = 14;
  const auto weights = *Int8Weights::pack(random_numbers(random, 4 * width * width, 0.2F), 4 * width, width);
  const auto bias = random_numbers(random, 4 * width, 0.5F);
  const auto gates = random_numbers(random, rows * 4 * width, 1);
  for (const bool is_reverse : {false, true}) {
    const auto state = random_numbers(random, 5 * width, 0.5F),
               cells = random_numbers(random, 5 * width, 0.5F);
    const auto expected = exact_run(weights, bias, steps, gates, is_reverse, {state.begin(), state.end()},
                                    {cells.begin(), cells.end()});
    for (const Int8Code code : codes()) {
      auto hidden = state, cell = cells;
      std::vector<float> out(rows * (width + 2), -77);
      Int8LstmRun run;
      run.recurrent = &weights;
      run.recurrent_bias = bias;
      run.steps = steps;
      run.gates = gates.data();
      run.is_reverse = is_reverse;
      run.hidden = hidden.data();
      run.cell = cell.data();
      run.out = out.data();
      run.out_stride = width + 2;
      run_int8_lstm(run, code);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = 0; i < width; ++i)
          ASSERT_NEAR(out[r * (width + 2) + i], expected[r * width + i], 0.03) << r << " " << is_reverse;
        EXPECT_EQ(out[r * (width + 2) + width], -77) << "beyond a row";
      }
      // A sequence's last state is that of its own last step.
      for (std::size_t i = 0; i < width; ++i) {
        EXPECT_EQ(hidden[i], out[(is_reverse ? 0 : 13) * (width + 2) + i]);
        EXPECT_EQ(hidden[4 * width + i], out[(is_reverse ? 4 : 9) * (width + 2) + i]);
      }
    }
  }
}

}  // namespace
}  // namespace ds::kernels
