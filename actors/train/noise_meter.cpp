#include "actors/train/noise_meter.hpp"

#include <new>
#include <utility>

#include "kernels/add_into.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

void NoiseMeter::take(const SummedStep& step, NoiseSoFar& of_state) {
  if (count_micro_batches(spec_) == 1) return take_pair(step);
  if (!measures_noise(spec_, step.step)) return;
  const double squares = step.gradient.empty() ? step.squared_norm : kernels::squared_norm_of(step.gradient);
  const auto measured = measure_noise(step.sums, mean_square(squares, step.rows, step.divisor, 1), step.rows);
  if (measured) of_state.add(*measured);
}

void NoiseMeter::take_pair(const SummedStep& step) {
  if (step.gradient.empty() || step.gradient.size_bytes() > kMostPairedBytes) return;
  if (step.step % kNoiseEvery == 0) return keep_first(step);
  std::optional<First> first = std::exchange(first_, std::nullopt);
  // Only gradients of equally large batches can be added as they are: the last one of an epoch is left out.
  if (!first || first->step + 1 != step.step || first->divisor != step.divisor) return;
  NoiseSums sums;
  sums.add(mean_square(first->squared_norm, first->rows, step.divisor, 1), first->rows);
  sums.add(mean_square(kernels::squared_norm_of(step.gradient), step.rows, step.divisor, 1), step.rows);
  kernels::add_into(first->gradient, step.gradient);
  const double rows = first->rows + step.rows;
  const double squares = kernels::squared_norm_of(first->gradient);
  if (const auto measured = measure_noise(sums, mean_square(squares, rows, step.divisor, 1), rows))
    of_pairs_.add(*measured);
}

void NoiseMeter::keep_first(const SummedStep& step) {
  try {
    first_ = First{step.step,
                   {step.gradient.begin(), step.gradient.end()},
                   kernels::squared_norm_of(step.gradient),
                   step.divisor,
                   step.rows};
  } catch (const std::bad_alloc&) {  // training can do without
    first_.reset();
  }
}

double NoiseMeter::scale(const NoiseSoFar& of_state) const {
  return count_micro_batches(spec_) == 1 ? of_pairs_.scale() : of_state.scale();
}

}  // namespace ds::train
