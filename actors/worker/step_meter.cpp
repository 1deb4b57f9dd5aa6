#include "actors/worker/step_meter.hpp"

namespace ds::worker {

void StepMeter::add(const train::StepResult& result) {
  sum_.step = result.step;
  sum_.epoch = result.epoch;
  sum_.loss = result.loss;
  sum_.skipped_steps = result.skipped_steps;
  sum_.bad_records = result.bad_records;
  sum_.noise_scale = result.noise_scale;
  sum_.batch = result.batch;
  sum_.samples += result.samples;
  batches_ += result.batches;
  sum_.data_seconds += result.data_seconds;
  sum_.forward_seconds += result.forward_seconds;
  sum_.backward_seconds += result.backward_seconds;
  sum_.reduce_seconds += result.reduce_seconds;
  sum_.optimizer_seconds += result.optimizer_seconds;
  ++steps_;
}

std::optional<messages::StepReport> StepMeter::take(bool now) {
  const auto time = Clock::now();
  if (steps_ == 0 || (!now && time - last_ < kInterval)) return std::nullopt;
  const double seconds = std::chrono::duration<double>(time - last_).count();
  const auto mean = [&](double sum) { return Real(sum / static_cast<double>(steps_)); };
  messages::StepReport report;
  report.step = sum_.step;
  report.epoch = sum_.epoch;
  report.loss = sum_.loss;
  report.skipped_steps = sum_.skipped_steps;
  report.bad_records = sum_.bad_records;
  report.noise_scale = sum_.noise_scale;
  report.batch = sum_.batch;
  report.step_batches = static_cast<double>(batches_) / static_cast<double>(steps_);
  report.samples_per_second = seconds > 0 ? static_cast<double>(sum_.samples) / seconds : 0.0;
  report.phase_seconds = {{"data", mean(sum_.data_seconds)},
                          {"forward", mean(sum_.forward_seconds)},
                          {"backward", mean(sum_.backward_seconds)},
                          {"reduce", mean(sum_.reduce_seconds)},
                          {"optimizer", mean(sum_.optimizer_seconds)}};
  last_ = time;
  sum_ = {};
  steps_ = batches_ = 0;
  return report;
}

}  // namespace ds::worker
