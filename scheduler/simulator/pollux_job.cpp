#include "scheduler/simulator/pollux_job.hpp"

#include <algorithm>
#include <cmath>

namespace ds::simulator {

using scheduler::BatchChoice;
using scheduler::BatchLimits;
using scheduler::Slots;

namespace {

/// Batch sizes with which each kind of GPU is profiled.
constexpr int kProfiledBatches = 8;

}  // namespace

PolluxJob::PolluxJob(std::uint32_t id, PolluxSubmission submission, const PolluxSettings& settings)
    : id_(id),
      submission_(std::move(submission)),
      settings_(settings),
      use_(settings.restart_s),
      experience_(settings.experience ? settings.experience
                                      : std::make_shared<Experience>(submission_.applications.size())) {
  if (has_kinds()) profile_kinds();
}

void PolluxJob::profile_kinds() {
  for (std::size_t kind = 0; kind < submission_.applications.size(); ++kind) {
    const ApplicationProfile& profile = *submission_.applications[kind];
    const double ratio = profile.limits().max_per_slot / profile.limits().min_per_slot;
    for (int i = 0; i < kProfiledBatches; ++i) {
      const double batch =
          std::round(profile.limits().min_per_slot * std::pow(ratio, i / (kProfiledBatches - 1.0)));
      const StepTime time = profile.step({1}, batch);
      experience_->add_step(kind, {1, 1, batch, time.step_s, time.step_s - time.sync_s});
    }
  }
  experience_->add_first_noise(application().noise(application().limits().base, 0));
}

PolluxJob::Pace PolluxJob::pace(const Placement& placement, const BatchChoice& choice,
                                std::uint32_t epoch) const {
  std::uint32_t slots = 0;
  for (const std::uint32_t count : placement) slots += count;
  Pace pace;
  pace.time = application().step(placement, choice.per_slot);
  const double total = choice.total(slots);
  pace.noise = application().noise(total, epoch);
  const double update_s = pace.time.step_s + choice.accumulation * (pace.time.step_s - pace.time.sync_s);
  pace.goodput = pace.noise.gain(total / application().limits().base) / update_s / settings_.slowdown;
  return pace;
}

void PolluxJob::measure(const Pace& pace) {
  noise_ = pace.noise;
  has_stepped_ = true;
  if (!settings_.adapts_batch) return;
  experience_->add_first_noise(pace.noise);
  experience_->add_step(kind_, {static_cast<std::uint32_t>(placement_.size()), use_.count(), choice_.per_slot,
                                pace.time.step_s, pace.time.step_s - pace.time.sync_s});
}

void PolluxJob::choose_batch() {
  const std::uint32_t slots = use_.count();
  if (slots == 0) return;
  const BatchLimits& limits = application().limits();
  if (!settings_.adapts_batch) {
    choice_ = scheduler::divide_batch(submission_.batch, slots, limits);
  } else if (application().is_pinned()) {
    choice_ = scheduler::divide_batch(limits.max, slots, limits);
  } else if (const auto speed = experience_->speed_on(kind_); !speed) {
    choice_ = scheduler::divide_batch(std::max(limits.base, limits.min_per_slot * slots), slots, limits);
  } else {
    choice_ = scheduler::Goodput{*speed, noise(), limits}.best_batch(
        static_cast<std::uint32_t>(placement_.size()), slots);
  }
}

std::optional<double> PolluxJob::news_s(double now_s) const {
  if (use_.count() == 0 || is_done()) return std::nullopt;
  const Pace now = pace(placement_, choice_, epoch_);
  const double to_end_s = (application().end_of(epoch_) - progress_) / now.goodput;
  return now_s + use_.standing_s() + (has_stepped_ ? to_end_s : std::min(to_end_s, now.time.step_s));
}

double PolluxJob::advance(double from_s, double seconds) {
  if (use_.count() == 0 || is_done()) return 0;
  const double stand = use_.stand(seconds);
  double left = seconds - stand;
  while (left > 0 && !is_done()) {
    const Pace now = pace(placement_, choice_, epoch_);
    measure(now);
    const double end = application().end_of(epoch_);
    if (progress_ + now.goodput * left < end) {
      progress_ += now.goodput * left;
      left = 0;
    } else {
      left -= std::nearbyint((end - progress_) / now.goodput);
      progress_ = end;
      ++epoch_;
    }
    choose_batch();
  }
  experience_->add_progress(progress_);
  const double spent = seconds - left;
  use_.add_round(from_s, seconds, spent);
  if (is_done()) {
    done_s_ = from_s + spent;
    experience_->add_end(progress_);
  }
  return spent - stand;
}

void PolluxJob::give(const Slots& slots, double now_s) {
  use_.give(slots, now_s);
  has_stepped_ = false;
  placement_ = to_placement(slots);
  if (!slots.empty() && !settings_.node_kinds.empty()) kind_ = settings_.node_kinds[slots.front()];
  choose_batch();
}

scheduler::ElasticJob PolluxJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.batch = application().limits();
  const double divisible = std::floor(job.batch.max / job.batch.min_per_slot);
  job.max_slots = std::min({std::max(2 * experience_->most_slots(), 1U), settings_.max_slots,
                            static_cast<std::uint32_t>(std::max(divisible, 1.0))});
  if (application().is_pinned()) job.max_slots = 1;
  job.progress = progress_;
  use_.describe(job);
  job.speed = experience_->speed_on(kind_);
  job.noise = noise();
  job.usual_work = experience_->work(progress_);
  if (!has_kinds()) return job;
  job.restart_s = settings_.restart_s;
  for (std::size_t kind = 0; kind < submission_.applications.size(); ++kind)
    job.on_kinds.push_back({submission_.applications[kind]->limits(), experience_->speed_on(kind)});
  return job;
}

const scheduler::GradientNoise& PolluxJob::noise() const {
  static const scheduler::GradientNoise kUnknown;
  if (noise_) return *noise_;
  return experience_->first_noise() ? *experience_->first_noise() : kUnknown;
}

double PolluxJob::alone_s() const {
  const Placement placement = pack(submission_.slots, 4);
  const BatchChoice choice =
      scheduler::divide_batch(submission_.batch, submission_.slots, application().limits());
  double seconds = settings_.restart_s;
  double progress = 0;
  for (std::uint32_t epoch = 0; epoch < application().epochs(); ++epoch) {
    const double end = application().end_of(epoch);
    seconds += (end - progress) / pace(placement, choice, epoch).goodput;
    progress = end;
  }
  return seconds;
}

double PolluxJob::remaining_steps() const {
  const double all = application().steps(submission_.batch, application().epochs());
  return std::max(1.0, all - application().steps(submission_.batch, epoch_ + 1));
}

double PolluxJob::true_step_s(std::uint32_t slots, std::uint32_t slots_per_node) const {
  BatchChoice choice = scheduler::divide_batch(submission_.batch, slots, application().limits());
  const StepTime time = application().step(pack(slots, slots_per_node), choice.per_slot);
  return time.step_s + choice.accumulation * (time.step_s - time.sync_s);
}

std::uint32_t PolluxJob::max_divisible_slots() const {
  if (application().is_pinned()) return 1;
  return static_cast<std::uint32_t>(submission_.batch / application().limits().min_per_slot);
}

}  // namespace ds::simulator
