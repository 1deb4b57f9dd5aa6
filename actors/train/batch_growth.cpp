#include "actors/train/batch_growth.hpp"

#include <algorithm>
#include <cmath>

#include "scheduler/spec/schedule_factor.hpp"

namespace ds::train {

double batch_rate_factor(const scheduler::JobSpec& spec, std::uint32_t batches,
                         std::optional<double> noise_scale) {
  if (batches <= 1) return 1;
  const double all = batches;
  if (spec.optimizer.name != "sgd") return std::sqrt(all);
  if (!noise_scale) return all;
  const double noise = *noise_scale / spec.batch.global;
  return (noise + 1) / (noise / all + 1);
}

std::uint32_t batches_now(const scheduler::JobSpec& spec, const Progress& progress) {
  return std::clamp(static_cast<std::uint32_t>(progress.batches), 1U, spec.batch.most_batches());
}

std::uint64_t count_optimizer_steps(std::uint64_t step, const Progress& progress) {
  return step - static_cast<std::uint64_t>(progress.further_batches);
}

void count_batches(const scheduler::JobSpec& spec, std::uint64_t step, std::uint32_t taken,
                   std::optional<double> noise_scale, Progress& progress) {
  if (spec.batch.most_batches() == 1) return;
  progress.further_batches += taken - 1;
  if (count_optimizer_steps(step + taken, progress) % kGrowEvery != 0) return;
  progress.batches = choose_batches(spec.batch, batches_now(spec, progress), noise_scale);
}

double step_learning_rate(const scheduler::JobSpec& spec, const BatchRun& run,
                          std::optional<double> noise_scale) {
  double factors = 0;
  for (std::uint32_t i = 0; i < run.batches; ++i)
    factors += scheduler::schedule_factor(spec.schedule, run.step + i, run.total);
  const double factor = run.batches == 1 ? factors : factors / run.batches;
  return spec.optimizer.lr * factor * batch_rate_factor(spec, run.batches, noise_scale);
}

}  // namespace ds::train
