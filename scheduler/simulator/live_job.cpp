#include "scheduler/simulator/live_job.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scheduler/policy/elastic/batch_growth.hpp"

namespace ds::simulator {
namespace {

using scheduler::Slots;
using scheduler::StepTimes;

/// Workers report so often at most.
constexpr double kReportS = 0.1;
/// After so many of them it is clear what steps take: the warm-up and the one that counts them, and the rest.
constexpr std::uint32_t kReportsOfInterest = StepTimes::kWarmUpSteps + 1 + StepTimes::kFirstReports;
constexpr double kNever = std::numeric_limits<double>::infinity();

double divide_up(double all, double by) {
  return std::ceil(all / by);
}

}  // namespace

LiveJob::LiveJob(std::uint32_t id, PolluxSubmission submission, double restart_s)
    : id_(id), submission_(std::move(submission)), restart_s_(restart_s), use_(restart_s) {
  const scheduler::BatchLimits& limits = application().limits();
  batch_.global = static_cast<std::uint32_t>(submission_.batch);
  batch_.max_global = static_cast<std::uint32_t>(limits.max);
  const double most = application().is_pinned() ? 1 : std::floor(submission_.batch / limits.min_per_slot);
  shares_ = std::min(submission_.slots, static_cast<std::uint32_t>(std::max(1.0, most)));
  share_passes_ = divide_up(submission_.batch / shares_, limits.max_per_slot);
}

LiveJob::Pace LiveJob::pace(const Placement& placement) const {
  double workers = 0;
  for (const std::uint32_t count : placement) workers += count;
  const StepTime time = application().step(placement, submission_.batch / shares_ / share_passes_);
  const double pass_s = time.step_s - time.sync_s;
  Pace pace;
  pace.compute_s = pass_s * divide_up(shares_, workers) * share_passes_ * batches_;
  pace.step_s = pace.compute_s + time.sync_s;
  const double samples = batch_samples();
  pace.goodput =
      application().noise(samples, epoch_).gain(samples / application().limits().base) / pace.step_s;
  return pace;
}

void LiveJob::begin_steps() {
  const std::uint32_t nodes = static_cast<std::uint32_t>(placement_.size());
  const scheduler::SizeMeasured* known = scheduler::find_measured(sizes_, use_.count());
  times_.begin(use_.count(), nodes, known == nullptr ? std::nullopt : std::optional(*known));
  resize_s_ = was_resized_ ? stood_s_ : 0;
  is_beginning_ = was_resized_ = false;
  stood_s_ = steps_here_ = 0;
  reports_ = kReportsOfInterest;
}

/// For so long at most, up to what comes next; returns for how long.
double LiveJob::make_steps(double most_s) {
  const Pace now = pace(placement_);
  const double end = application().end_of(epoch_);
  const double to_end_s = (end - progress_) / now.goodput;
  const double reported = std::max(1.0, divide_up(kReportS, now.step_s));  // steps a report
  const double to_report_s =
      reports_ > 0 ? (reported - std::fmod(steps_here_, reported)) * now.step_s : kNever;
  const double every = scheduler::kGrowEvery;
  const double to_look_s =
      batch_.most_batches() > 1 ? (every - std::fmod(steps_, every)) * now.step_s : kNever;
  const double next_s = std::min({to_end_s, to_report_s, to_look_s});
  const double seconds = std::min(most_s, next_s);
  progress_ += now.goodput * seconds;
  steps_ += seconds / now.step_s;
  steps_here_ += seconds / now.step_s;
  if (seconds < next_s) return seconds;
  if (to_end_s <= next_s) {
    progress_ = end;
    ++epoch_;
  }
  if (to_report_s <= next_s) {
    steps_here_ = std::round(steps_here_);
    report(now);
  }
  if (to_look_s <= next_s) {
    steps_ = std::round(steps_);
    look_at_batch();
  }
  return seconds;
}

void LiveJob::report(const Pace& pace) {
  --reports_;
  const auto step = static_cast<std::uint64_t>(steps_here_) * batches_;
  const double batches = batches_;
  const auto settled = times_.add({step, pace.step_s, pace.compute_s, batches, batches_});
  if (!settled) return;
  scheduler::keep_measured(sizes_, *settled);
  scheduler::keep_resize(resizes_s_, std::exchange(resize_s_, 0));
  learn_curve();
}

void LiveJob::look_at_batch() {
  if (is_done()) return;
  const scheduler::GradientNoise noise = application().noise(batch_samples(), epoch_);
  const double scale = application().limits().base * noise.variance / noise.squared_norm;
  const std::uint32_t batches = scheduler::choose_batches(batch_, batches_, scale);
  if (batches == batches_) return;
  batches_ = batches;
  reports_ = kReportsOfInterest;
  learn_curve();
}

void LiveJob::learn_curve() {
  curve_ = scheduler::make_curve(sizes_, resizes_s_, {1, shares_}, shares_, batches_);
  ++news_;
}

std::optional<double> LiveJob::news_s(double now_s) const {
  if (use_.count() == 0 || is_done()) return std::nullopt;
  if (next_news_s_) return next_news_s_;
  LiveJob copy = *this;
  double seconds = use_.standing_s();
  if (copy.is_beginning_) copy.begin_steps();
  while (copy.news_ == news_ && !copy.is_done()) seconds += copy.make_steps(kNever);
  next_news_s_ = now_s + seconds;
  return next_news_s_;
}

double LiveJob::advance(double from_s, double seconds) {
  if (use_.count() == 0 || is_done()) return 0;
  const std::uint32_t news = news_;
  const double stand = use_.stand(seconds);
  stood_s_ += stand;
  double left = seconds - stand;
  if (left > 0 && is_beginning_) begin_steps();
  while (left > 0 && !is_done()) left -= make_steps(left);
  if (news_ != news) next_news_s_.reset();
  const double spent = seconds - left;
  use_.add_round(from_s, seconds, spent);
  if (is_done()) done_s_ = from_s + spent;
  return spent - stand;
}

void LiveJob::give(const Slots& slots, double now_s) {
  was_resized_ = !slots.empty() && (is_beginning_ ? was_resized_ : use_.count() > 0);
  if (slots.empty()) stood_s_ = 0;
  is_beginning_ = true;
  next_news_s_.reset();
  use_.give(slots, now_s);
  placement_ = to_placement(slots);
}

scheduler::ElasticJob LiveJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.max_slots = shares_;
  job.batch = application().limits();
  job.progress = progress_;
  job.restart_s = restart_s_;
  use_.describe(job);
  job.told = {.sizes = sizes_, .curve = curve_};
  return job;
}

double LiveJob::alone_s() const {
  LiveJob alone(id_, submission_, restart_s_);
  alone.placement_ = pack(submission_.slots, 4);
  double seconds = restart_s_;
  while (!alone.is_done()) seconds += alone.make_steps(kNever);
  return seconds;
}

}  // namespace ds::simulator
