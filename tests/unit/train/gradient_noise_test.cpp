#include "actors/train/gradient_noise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "actors/train/noise_meter.hpp"
#include "actors/train/progress.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

using Vector = std::vector<double>;

double square(const Vector& vector) {
  double sum = 0;
  for (const double value : vector) sum += value * value;
  return sum;
}

/// What is measured of samples' gradients that are cut into micro-batches of these sizes.
NoiseMeasured measure(const std::vector<Vector>& gradients, const std::vector<std::size_t>& sizes) {
  const std::size_t dimensions = gradients.front().size();
  NoiseSums sums;
  Vector whole(dimensions);
  std::size_t row = 0;
  for (const std::size_t size : sizes) {
    Vector part(dimensions);
    for (std::size_t i = 0; i < size; ++i, ++row) {
      for (std::size_t d = 0; d < dimensions; ++d)
        part[d] += gradients[row][d], whole[d] += gradients[row][d];
    }
    if (size == 0) continue;
    const auto rows = static_cast<double>(size);
    sums.add(mean_square(square(part), rows, 1, 1), rows);
  }
  const auto rows = static_cast<double>(row);
  return measure_noise(sums, mean_square(square(whole), rows, 1, 1), rows).value();
}

TEST(GradientNoise, OfTwoSamplesIsTheirSampleVariance) {
  const NoiseMeasured measured = measure({{3, 1}, {1, -1}}, {1, 1});
  EXPECT_DOUBLE_EQ(measured.variance, 4) << "twice (1, 1) from the mean, one degree of freedom";
  EXPECT_DOUBLE_EQ(measured.squared_norm, 4 - 4 / 2.0);
}

/// McCandlish et al., appendix A.1, written out once more.
TEST(GradientNoise, OfEqualMicroBatchesIsThatOfThePaper) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0.5, 1);
  std::vector<Vector> gradients(12, Vector(5));
  for (Vector& one : gradients) std::ranges::generate(one, [&] { return normal(random); });
  const double small = 3, big = 12;
  double small_square = 0;
  Vector whole(5);
  for (std::size_t part = 0; part < 4; ++part) {
    Vector mean(5);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t d = 0; d < 5; ++d)
        mean[d] += gradients[part * 3 + i][d] / small, whole[d] += gradients[part * 3 + i][d] / big;
    }
    small_square += square(mean) / 4;
  }
  const NoiseMeasured measured = measure(gradients, {3, 3, 3, 3});
  EXPECT_NEAR(measured.squared_norm, (big * square(whole) - small * small_square) / (big - small), 1e-12);
  EXPECT_NEAR(measured.variance, (small_square - square(whole)) / (1 / small - 1 / big), 1e-12);
}

TEST(GradientNoise, IsMeasuredWithoutBiasWhateverTheSizesOfMicroBatches) {
  constexpr int kTimes = 20'000;
  const Vector mean{0.3, -0.2, 0, 0.1}, deviation{1, 2, 0.5, 0.1};
  const double variance = square(deviation), squared_norm = square(mean);
  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  for (const std::vector<std::size_t>& sizes :
       std::vector<std::vector<std::size_t>>{{4, 4}, {1, 5, 0, 2, 8}, {1, 15}}) {
    std::array<double, 2> sums{}, squares{};
    std::size_t rows = 0;
    for (const std::size_t size : sizes) rows += size;
    for (int time = 0; time < kTimes; ++time) {
      std::vector<Vector> gradients(rows, mean);
      for (Vector& one : gradients) {
        for (std::size_t d = 0; d < one.size(); ++d) one[d] += deviation[d] * normal(random);
      }
      const NoiseMeasured measured = measure(gradients, sizes);
      EXPECT_GE(measured.variance, -1e-9);
      const std::array<double, 2> values{measured.variance, measured.squared_norm};
      for (std::size_t i = 0; i < 2; ++i) sums[i] += values[i], squares[i] += values[i] * values[i];
    }
    const std::array<double, 2> expected{variance, squared_norm};
    for (std::size_t i = 0; i < 2; ++i) {
      const double found = sums[i] / kTimes;
      const double error = std::sqrt((squares[i] / kTimes - found * found) / kTimes);
      EXPECT_NEAR(found, expected[i], 4 * error) << i << " of " << sizes.size() << " micro-batches";
      EXPECT_LT(error, 0.1 * expected[i]) << "says nothing";
    }
  }
}

TEST(GradientNoise, IsNotMeasuredWhereNothingCanBeTold) {
  NoiseSums one;
  one.add(3, 8);
  EXPECT_FALSE(measure_noise(one, 3, 8)) << "a single micro-batch";
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(), 1e38}) {
    NoiseSums sums;
    for (const double square : {1.0, bad, 1.0}) sums.add(square, 4);
    float sum = 0;
    for (int rank = 0; rank < 1024; ++rank) sum += static_cast<float>(sums.squares);
    EXPECT_TRUE(std::isfinite(sum)) << "it would end the training";
    EXPECT_FALSE(measure_noise({sum, 3}, 1, 12)) << bad;
  }
  NoiseSums good;
  for (int i = 0; i < 3; ++i) good.add(1, 4);
  EXPECT_TRUE(measure_noise(good, 1, 12));
  EXPECT_FALSE(measure_noise(good, std::numeric_limits<double>::infinity(), 12));
}

TEST(GradientNoise, ScaleIsTheQuotientOfTheSmoothedNotTheMeanOfQuotients) {
  NoiseSoFar noise;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(noise.scale() > 0, i >= kFewestNoises) << i;
    noise.add({i % 2 == 0 ? 30.0 : 10.0, i % 2 == 0 ? 3.0 : -1.0});
  }
  EXPECT_NEAR(noise.scale(), 20, 2) << "20 / 1";
  noise.squared_norm = -0.1;
  EXPECT_EQ(noise.scale(), 0) << "the gradient can't be told from its noise";
}

TEST(GradientNoise, ScaleForgetsWhatWasLongAgo) {
  NoiseSoFar noise;
  for (int i = 0; i < 100; ++i) noise.add({10, 1});
  EXPECT_NEAR(noise.scale(), 10, 1e-9);
  for (int i = 0; i < 100; ++i) noise.add({500, 1});
  EXPECT_NEAR(noise.scale(), 500, 5);
}

TEST(GradientNoise, IsMeasuredEveryFewStepsWhereThereAreMicroBatchesAndASum) {
  scheduler::JobSpec spec;
  spec.workers = {1, 2};
  EXPECT_TRUE(measures_noise(spec, 0));
  EXPECT_FALSE(measures_noise(spec, 1));
  EXPECT_TRUE(measures_noise(spec, kNoiseEvery));
  spec.workers = {1, 1};
  EXPECT_FALSE(measures_noise(spec, 0));
  spec.batch.accumulate = 2;
  EXPECT_TRUE(measures_noise(spec, 0));
  spec.strategy.name = "parameter_server";
  EXPECT_TRUE(measures_noise(spec, 0));
  spec.strategy.compression.name = "int8";
  EXPECT_FALSE(measures_noise(spec, 0));
  spec.strategy.compression.name = "none";
  spec.strategy.consistency = "bounded";
  EXPECT_FALSE(measures_noise(spec, 0));
}

TEST(NoiseMeter, TakesTwoStepsInARowForTwoMicroBatchesWhereAStepIsOne) {
  scheduler::JobSpec spec;
  spec.workers = {1, 1};
  NoiseMeter meter(spec);
  NoiseSoFar of_state;
  const std::vector<float> first{3, 1}, second{1, -1}, other{100, 100};
  const auto take = [&](std::uint64_t step, const std::vector<float>& gradient, double divisor = 1) {
    const auto measured = meter.measure({step, gradient, 0, divisor, divisor, {}});
    if (measured) meter.add(*measured, of_state);
  };
  for (std::uint64_t pair = 0; pair < 5; ++pair) {
    EXPECT_EQ(meter.scale(of_state), 0) << pair;
    take(pair * kNoiseEvery, first);
    take(pair * kNoiseEvery + 1, second);
    take(pair * kNoiseEvery + 2, other);
  }
  EXPECT_DOUBLE_EQ(meter.scale(of_state), 2) << "4 / 2, see OfTwoSamplesIsTheirSampleVariance";
  take(40, first);
  take(42, other);  // 41 was passed over
  take(48, first);
  take(49, other, 2);  // a batch of another size
  take(56, first);
  meter.forget_first();
  take(57, other);
  EXPECT_DOUBLE_EQ(meter.scale(of_state), 2);
  EXPECT_EQ(of_state, NoiseSoFar());
  take(64, first);
  take(65, other);
  EXPECT_GT(meter.scale(of_state), 2.5);
  take(72, first);
  meter.begin_again();
  take(73, second);
  EXPECT_EQ(meter.scale(of_state), 0);
  for (std::uint64_t pair = 10; pair < 15; ++pair) {
    EXPECT_EQ(meter.scale(of_state), 0) << pair;
    take(pair * kNoiseEvery, first);
    take(pair * kNoiseEvery + 1, second);
  }
  EXPECT_DOUBLE_EQ(meter.scale(of_state), 2);
}

// ---- in sessions -----------------------------------------------------------------------------------

Progress progress_of(const StateImage& image) {
  const auto found = std::ranges::find(image.tensors, "progress", &std::pair<std::string, Buffer>::first);
  return Progress::of_bytes(found->second.bytes()).value();
}

/// Linear regression: y = 1 + x·(1, -2, 0.5) + noise, with x from a standard normal distribution.
class SessionNoise : public TrainingJob {
 protected:
  static constexpr std::size_t kFeatures = 3;
  static constexpr double kDeviation = 0.8;
  static constexpr std::array<double, kFeatures + 1> kTruth{1, -2, 0.5, 1};  ///< the last: the bias

  struct Row {
    std::array<double, kFeatures + 1> x{};  ///< the last is 1
    double y = 0;
  };

  /// A row in `bad_each` cannot be read; 0: all can.
  scheduler::JobSpec regression(std::size_t rows, std::size_t bad_each = 0) {
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    std::string csv = "a,b,c,y\n";
    for (std::size_t i = 0; i < rows; ++i) {
      Row row;
      row.x.back() = 1;
      for (std::size_t d = 0; d < kFeatures; ++d) row.x[d] = normal(random);
      for (std::size_t d = 0; d <= kFeatures; ++d) row.y += kTruth[d] * row.x[d];
      row.y += kDeviation * normal(random);
      const bool bad = bad_each != 0 && i % bad_each == bad_each - 1;
      for (std::size_t d = 0; d < kFeatures; ++d) csv += (bad ? "none" : std::to_string(row.x[d])) + ",";
      csv += std::to_string(row.y) + "\n";
      if (!bad) rows_.push_back(row);
      is_bad_.push_back(bad);
    }
    scheduler::JobSpec spec;
    spec.name = "regression";
    spec.workers = {1, 3};
    spec.model.zoo = "mlp";
    spec.model.settings = {{"hidden", {}}};
    spec.data.train.paths = {write("regression.csv", csv)};
    spec.data.train.format = "csv";
    spec.data.train.columns = {{"features", {"a", "b", "c"}}, {"label", {"y"}}};
    spec.loss.resize(1);
    spec.loss[0].name = "mse";
    spec.batch.global = 20;
    spec.batch.accumulate = 2;
    spec.optimizer.name = "sgd";
    spec.optimizer.lr = 1e-12;  // it stays where it is
    spec.until.steps = 100'000;
    spec.seed = 7;
    return spec;
  }

  /// What the model is off by: its weights and its bias less the truth.
  static std::array<double, kFeatures + 1> error_of(const StateImage& image) {
    std::array<float, kFeatures + 1> parameters{};
    std::memcpy(parameters.data(), image.tensors.front().second.bytes().data(), sizeof parameters);
    std::array<double, kFeatures + 1> error{};
    for (std::size_t d = 0; d <= kFeatures; ++d) error[d] = parameters[d] - kTruth[d];
    return error;
  }

  struct Expected {
    double variance = 0, squared_norm = 0, scale = 0;
  };
  /// A sample's gradient is 2 (x·e + b - noise) (x, 1): its mean is 2 (e, b), and E[(x·e)² |x|²] is
  /// |e|² (d + 2) for d features.
  static Expected expected_noise(const std::array<double, kFeatures + 1>& error) {
    double distance = 0;  // of the weights
    for (std::size_t d = 0; d < kFeatures; ++d) distance += error[d] * error[d];
    const double bias = error.back() * error.back();
    const double squared_norm = 4 * (distance + bias);
    const double mean_of_squares =
        4 * (distance * (kFeatures + 3) + (bias + kDeviation * kDeviation) * (kFeatures + 1));
    const double variance = mean_of_squares - squared_norm;
    return {variance, squared_norm, variance / squared_norm};
  }

  std::vector<Row> rows_;  ///< that can be read
  std::vector<bool> is_bad_;
};

TEST_F(SessionNoise, IsThatOfARegressionWhoseNoiseIsKnown) {
  const scheduler::JobSpec spec = regression(6000);
  const auto session = open(spec);
  const Expected expected = expected_noise(error_of(session->image(false)));
  collective::Communicator one(spec.logical_ranks());
  double variances = 0, squared_norms = 0, reported = 0;
  Progress before;
  for (int step = 0; step < 3000; ++step) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    const Progress now = progress_of(session->image(false));
    reported = result->noise_scale;
    EXPECT_EQ(reported, now.noise.scale());
    if (now.noise.measurements == before.noise.measurements) continue;
    variances += (now.noise.variance - kNoiseKept * before.noise.variance) / (1 - kNoiseKept);
    squared_norms += (now.noise.squared_norm - kNoiseKept * before.noise.squared_norm) / (1 - kNoiseKept);
    before = now;
  }
  EXPECT_EQ(before.noise.measurements, 375);
  EXPECT_NEAR(variances / before.noise.measurements, expected.variance, 0.05 * expected.variance);
  EXPECT_NEAR(squared_norms / before.noise.measurements, expected.squared_norm, 0.05 * expected.squared_norm);
  EXPECT_NEAR(reported, expected.scale, 0.3 * expected.scale);
}

class SessionNoiseByHand : public SessionNoise, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Precisions, SessionNoiseByHand, testing::Values("fp32", "fp16"),
                         [](const auto& of) { return std::string(of.param); });

/// Of the first step, whose rows and micro-batches are known; their sizes differ, and some rows are bad.
TEST_P(SessionNoiseByHand, IsThatOfTheRowsOfAStep) {
  scheduler::JobSpec spec = regression(100, 7);
  spec.precision = GetParam();
  spec.data.on_bad_record = {true, 100};
  spec.data.shuffle = false;
  const auto session = open(spec);
  if (spec.precision == "fp16") {  // at the scale that it begins with the first step would overflow
    StateImage image = session->image(true);
    Progress progress = progress_of(image);
    progress.scale = 256;
    const auto values = progress.values();
    for (auto& [name, tensor] : image.tensors) {
      if (name == "progress") tensor = Buffer::copy_of(std::as_bytes(std::span(values)));
    }
    ASSERT_TRUE(session->restore(image));
  }
  const auto error = error_of(session->image(false));
  std::vector<Vector> gradients;
  std::vector<std::size_t> sizes;
  for (std::size_t rank = 0, good = 0; rank < 3; ++rank) {
    const std::size_t first = 20 * rank / 3, share = 20 * (rank + 1) / 3 - first;
    for (std::size_t micro = 0; micro < 2; ++micro) {
      sizes.push_back(0);
      for (std::size_t row = first + share * micro / 2; row < first + share * (micro + 1) / 2; ++row) {
        if (is_bad_[row]) continue;
        const Row& one = rows_[good++];
        ++sizes.back();
        double off = -one.y;
        for (std::size_t d = 0; d <= kFeatures; ++d) off += (error[d] + kTruth[d]) * one.x[d];
        Vector gradient;
        for (const double x : one.x) gradient.push_back(2 * off * x);
        gradients.push_back(gradient);
      }
    }
  }
  ASSERT_EQ(gradients.size(), 18U);
  const NoiseMeasured expected = measure(gradients, sizes);
  collective::Communicator one(spec.logical_ranks());
  const auto result = session->run_step(one);
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_TRUE(result->updated);
  EXPECT_EQ(result->bad_records, 2U);
  const Progress progress = progress_of(session->image(false));
  EXPECT_EQ(progress.noise.measurements, 1);
  const double tolerance = spec.precision == "fp16" ? 0.02 : 1e-4;
  EXPECT_NEAR(progress.noise.variance / (1 - kNoiseKept), expected.variance, tolerance * expected.variance);
  EXPECT_NEAR(progress.noise.squared_norm / (1 - kNoiseKept), expected.squared_norm,
              tolerance * (expected.squared_norm + expected.variance));
}

TEST_F(SessionNoise, IsTheSameBitsForGangsOfEverySizeAndOverRestarts) {
  scheduler::JobSpec spec = job();
  spec.optimizer.clip_value = 0.01;  // after it was measured
  const StateImage alone = train(spec, 1, 18);
  const Progress expected = progress_of(alone);
  EXPECT_EQ(expected.noise.measurements, 3);
  EXPECT_GT(expected.noise.variance, 0);
  for (std::uint32_t members = 2; members <= 4; ++members)
    EXPECT_EQ(progress_of(train(spec, members, 18)), expected) << members;
  StateImage image = train(spec, 4, 8);
  for (const auto& [members, steps] : {std::pair(3U, 1U), std::pair(1U, 9U)}) {
    const StateImage before = image;
    image = train(spec, members, steps, &before);
  }
  EXPECT_EQ(progress_of(image), expected);
}

TEST_F(SessionNoise, OfStepsOfOneMicroBatchIsThatOfPairsAndNoPartOfTheState) {
  scheduler::JobSpec spec = regression(6000);
  spec.workers = {1, 1};
  spec.batch.accumulate = 1;
  const auto session = open(spec);
  const double expected = expected_noise(error_of(session->image(false))).scale;
  collective::Communicator one(spec.logical_ranks());
  double sum = 0;
  for (int step = 0; step < 3000; ++step) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    if (step >= 1000) sum += result->noise_scale / 2000;
  }
  EXPECT_NEAR(sum, expected, 0.1 * expected);
  EXPECT_EQ(progress_of(session->image(false)).noise, NoiseSoFar());
  ASSERT_TRUE(session->restore(session->image(true)));
  const auto result = session->run_step(one);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->noise_scale, 0) << "it begins again with a state that is restored";
}

/// As when a worker died in it and another one repeats it.
TEST_F(SessionNoise, IsKnownToAnEvaluationThatIsRepeatedInARestoredSession) {
  scheduler::JobSpec spec = regression(400);
  spec.data.validate = spec.data.train;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  const auto at_first = session->evaluate(one);
  ASSERT_TRUE(at_first) << at_first.error().message;
  EXPECT_EQ(at_first->noise_scale, 0);
  double known = 0;
  for (int step = 0; step < 200 && known == 0; ++step) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    known = result->noise_scale;
  }
  ASSERT_GT(known, 0);
  EXPECT_EQ(session->evaluate(one)->noise_scale, known);
  const auto other = open(spec);
  ASSERT_TRUE(other->restore(session->image(true)));
  EXPECT_EQ(other->evaluate(one)->noise_scale, known);
}

}  // namespace
}  // namespace ds::train
