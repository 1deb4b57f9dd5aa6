#include "actors/train/step_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/gradient.hpp"
#include "kernels/loss_scaler.hpp"

namespace ds::train {
namespace {

constexpr double kLeastScale = 1;  // below it losses would be made smaller than they are

bool is_scaled(const scheduler::JobSpec& spec) {
  return spec.precision == "fp16";
}

kernels::LossScaler scaler_of(const Progress& progress) {
  return {static_cast<float>(progress.scale), static_cast<std::uint32_t>(progress.clean_steps),
          static_cast<std::uint64_t>(progress.overflows)};
}

/// The first of the tensors that is not finite, for people.
std::string describe(const std::vector<TensorSlot>& slots, std::size_t bad, bool loss) {
  for (const TensorSlot& slot : slots) {
    if (bad < slot.offset || bad >= slot.offset + slot.size) continue;
    return loss ? fmt::format("the loss, and the gradient of {},", slot.name)
                : fmt::format("the gradient of {}", slot.name);
  }
  return loss ? "the loss" : "a buffer of the model";
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

void unscale(const scheduler::JobSpec& spec, const Progress& progress, std::span<float> gradients) {
  if (is_scaled(spec)) kernels::scale(gradients, scaler_of(progress).inverse());
}

Result<Verdict> judge_step(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots,
                           const StepVector& vector, std::span<const float> sum, const Progress& progress,
                           std::uint64_t step) {
  const auto bad = kernels::find_not_finite(sum);
  if (!bad) return Verdict::good;
  const bool in_gradients = *bad < vector.parameters();
  if (is_scaled(spec) && in_gradients && progress.scale / 2 >= kLeastScale) return Verdict::overflow;
  const double passed_over = progress.skipped - progress.overflows;
  if (spec.on_nan.skip && passed_over < static_cast<double>(spec.on_nan.most)) return Verdict::not_finite;
  const bool loss = !std::isfinite(StepVector::loss(sum));
  const std::string scale =
      is_scaled(spec) ? fmt::format(", with a loss scale of {}", progress.scale) : std::string();
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("step {}: {} is not finite{}: training diverged{}", step + 1, describe(slots, *bad, loss),
                  scale, spec.on_nan.skip ? fmt::format(", after {} skipped steps", passed_over) : ""),
      is_scaled(spec)
          ? "lower optimizer.lr, set optimizer.clip_norm, or use bf16, whose numbers reach further"
          : "lower optimizer.lr, or set optimizer.clip_norm");
}

void count_step(const scheduler::JobSpec& spec, Verdict verdict, Progress& progress) {
  if (verdict != Verdict::good) ++progress.skipped;
  if (!is_scaled(spec) || verdict == Verdict::not_finite) return;
  kernels::LossScaler scaler = scaler_of(progress);
  scaler.update(verdict == Verdict::overflow);
  progress.scale = static_cast<double>(scaler.scale);
  progress.clean_steps = scaler.clean_steps;
  progress.overflows = static_cast<double>(scaler.skipped);
}

}  // namespace ds::train
