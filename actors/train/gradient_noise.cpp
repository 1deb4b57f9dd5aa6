#include "actors/train/gradient_noise.hpp"

#include <algorithm>
#include <cmath>

namespace ds::train {
namespace {

/// Far from what float32 holds, and far above any gradient that still trains.
constexpr double kMostSquares = 0x1p100;

}  // namespace

std::uint64_t count_micro_batches(const scheduler::JobSpec& spec) {
  return std::uint64_t{spec.logical_ranks()} * spec.batch.accumulate;
}

bool measures_noise(const scheduler::JobSpec& spec, std::uint64_t step) {
  if (step % kNoiseEvery != 0 || count_micro_batches(spec) < 2) return false;
  const scheduler::StrategySpec& strategy = spec.strategy;
  return strategy.name != "parameter_server" ||
         (strategy.consistency == "sync" && strategy.compression.name == "none");
}

void NoiseSums::add(double squared_norm, double rows) {
  const double more = squares + rows * squared_norm;
  squares = more < kMostSquares ? more : kMostSquares;  // NaN too
  ++parts;
}

double mean_square(double squared_norm, double rows, double divisor, double scale) {
  const double factor = divisor / (rows * scale);
  return squared_norm * factor * factor;
}

/// With n_i rows in part i of P, n in all, g_i and g their mean gradients: E[sum of n_i |g_i|²] = n |G|² + P
/// tr(S), and E[n |g|²] = n |G|² + tr(S). For equal n_i that is McCandlish's (A.2, A.3).
std::optional<NoiseMeasured> measure_noise(const NoiseSums& sums, double squared_norm, double rows) {
  if (sums.parts < 2 || rows < sums.parts) return std::nullopt;
  if (!(sums.squares < kMostSquares) || !std::isfinite(squared_norm)) return std::nullopt;
  NoiseMeasured measured;
  measured.variance = (sums.squares - rows * squared_norm) / (sums.parts - 1);
  measured.squared_norm = squared_norm - measured.variance / rows;
  return measured;
}

void NoiseSoFar::add(const NoiseMeasured& measured) {
  // What both lack at first, for they begin at 0, is the same factor: their quotient does not have it.
  variance = kNoiseKept * variance + (1 - kNoiseKept) * measured.variance;
  squared_norm = kNoiseKept * squared_norm + (1 - kNoiseKept) * measured.squared_norm;
  ++measurements;
}

std::optional<double> NoiseSoFar::find_scale() const {
  if (measurements < kFewestNoises || !(squared_norm > 0)) return std::nullopt;
  const double scale = std::max(variance, 0.0) / squared_norm;  // an estimate, so it may be below 0
  if (!std::isfinite(scale)) return std::nullopt;
  return scale;
}

}  // namespace ds::train
