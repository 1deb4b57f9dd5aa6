#include "actors/train/step_verdict.hpp"

#include <cmath>
#include <limits>

#include "actors/train/step_vector.hpp"
#include "kernels/gradient.hpp"
#include "kernels/loss_scaler.hpp"

namespace ds::train {
namespace {

constexpr double kLeastScale = std::numeric_limits<float>::min();

bool is_scaled(const scheduler::JobSpec& spec) {
  return spec.precision == "fp16";
}

kernels::LossScaler scaler_of(const Progress& progress) {
  return {static_cast<float>(progress.scale), static_cast<std::uint32_t>(progress.clean_steps),
          static_cast<std::uint64_t>(progress.overflows)};
}

}  // namespace

void begin_scaling(const scheduler::JobSpec& spec, Progress& progress) {
  if (!is_scaled(spec)) return;
  progress.scale = static_cast<double>(kernels::LossScaler{}.scale);
  progress.clean_steps = 0;
}

double loss_scale(const scheduler::JobSpec& spec, const Progress& progress) {
  return is_scaled(spec) ? progress.scale : 1;
}

void unscale(std::span<float> gradients, double scale) {
  if (scale != 1) kernels::scale(gradients, static_cast<float>(1 / scale));
}

Result<Verdict> judge_sums(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots,
                           std::span<const float> sums, std::size_t gradients,
                           std::optional<std::size_t> on_servers, const Progress& progress,
                           std::uint64_t step) {
  const auto bad = kernels::find_not_finite(sums);
  if (!bad && !on_servers) return Verdict::good;
  NotFinite what{on_servers, !std::isfinite(StepVector::loss(sums))};
  if (bad && *bad < gradients) what.gradient = bad;
  return judge_not_finite(spec, slots, what, progress, step);
}

Result<Verdict> judge_not_finite(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots,
                                 const NotFinite& what, const Progress& progress, std::uint64_t step) {
  if (is_scaled(spec) && what.gradient && progress.scale / 2 >= kLeastScale) return Verdict::overflow;
  const double passed_over = progress.skipped - progress.overflows;
  if (spec.on_nan.skip && passed_over < static_cast<double>(spec.on_nan.most)) return Verdict::not_finite;
  return tl::unexpected(divergence(spec, slots, what, step, passed_over, loss_scale(spec, progress)));
}

void count_step(const scheduler::JobSpec& spec, Verdict verdict, Progress& progress) {
  if (verdict != Verdict::good) ++progress.skipped;
  if (!is_scaled(spec)) return;
  if (verdict == Verdict::not_finite) {
    progress.clean_steps = 0;
    return;
  }
  kernels::LossScaler scaler = scaler_of(progress);
  scaler.update(verdict == Verdict::overflow);
  progress.scale = static_cast<double>(scaler.scale);
  progress.clean_steps = scaler.clean_steps;
  progress.overflows = static_cast<double>(scaler.skipped);
}

}  // namespace ds::train
