#include "actors/train/noise_meter.hpp"

#include <new>
#include <utility>

#include "kernels/add_into.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

std::optional<NoiseMeasured> NoiseMeter::measure(const SummedStep& step) {
  if (has_pairs()) return measure_pair(step);
  if (!measures_noise(spec_, step.step)) return std::nullopt;
  const double squares = step.gradient.empty() ? step.squared_norm : kernels::squared_norm_of(step.gradient);
  return measure_noise(step.sums, mean_square(squares, step.rows, step.divisor, 1), step.rows);
}

std::optional<NoiseMeasured> NoiseMeter::measure_pair(const SummedStep& step) {
  if (step.gradient.empty() || step.gradient.size_bytes() > kMostPairedBytes) return std::nullopt;
  if (step.step % kNoiseEvery == 0) {
    keep_first(step);
    return std::nullopt;
  }
  std::optional<First> first = std::exchange(first_, std::nullopt);
  // Only gradients of equally large batches can be added as they are: the last one of an epoch is left out.
  if (!first || first->step + 1 != step.step || first->divisor != step.divisor) return std::nullopt;
  NoiseSums sums;
  sums.add(mean_square(first->squared_norm, first->rows, step.divisor, 1), first->rows);
  sums.add(mean_square(kernels::squared_norm_of(step.gradient), step.rows, step.divisor, 1), step.rows);
  kernels::add_into(first->gradient, step.gradient);
  const double rows = first->rows + step.rows;
  const double squares = kernels::squared_norm_of(first->gradient);
  return measure_noise(sums, mean_square(squares, rows, step.divisor, 1), rows);
}

void NoiseMeter::add(const NoiseMeasured& measured, NoiseSoFar& of_state) {
  (has_pairs() ? of_pairs_ : of_state).add(measured);
}

void NoiseMeter::begin_again() {
  first_.reset();
  of_pairs_ = {};
}

void NoiseMeter::keep_first(const SummedStep& step) {
  first_.reset();  // before there is another: one is memory enough
  try {
    first_ = First{step.step,
                   {step.gradient.begin(), step.gradient.end()},
                   kernels::squared_norm_of(step.gradient),
                   step.divisor,
                   step.rows};
  } catch (const std::bad_alloc&) {  // training can do without
  }
}

double NoiseMeter::scale(const NoiseSoFar& of_state) const {
  return (has_pairs() ? of_pairs_ : of_state).scale();
}

}  // namespace ds::train
