// What jobs tell of themselves: how fast they are, how far they have come, that a worker crashed.
#include <algorithm>
#include <cmath>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {

/// Of those that are kept; many more than a quarantine takes.
constexpr std::size_t kMaxEarlyCrashes = 256;

bool Ledger::on(const Event&, const SpeedMeasured& body) {
  auto* job = active(body.job);
  const bool is_sound = std::isfinite(body.step_s) && std::isfinite(body.resize_s) && body.compute_s > 0 &&
                        body.step_s >= body.compute_s && body.resize_s >= 0 && body.nodes >= 1 &&
                        body.workers >= body.nodes && body.batches >= 1;
  if (job == nullptr || !is_sound) return false;
  keep_measured(job->sizes, {body.workers, body.nodes, body.step_s, body.compute_s, body.batches});
  keep_resize(job->resizes_s, body.resize_s);
  learn_curve(*job);
  return true;
}

void Ledger::learn_curve(JobRecord& job) {
  job.curve = make_curve(job.sizes, job.resizes_s, job.wanted(), job.spec->logical_ranks(), job.batches());
}

bool Ledger::on(const Event&, const BatchChanged& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.batch == 0 || body.batch % job->spec->batch.global != 0 ||
      body.batch / job->spec->batch.global > job->spec->batch.most_batches())
    return false;
  job->batch = body.batch;
  learn_curve(*job);
  return true;
}

bool Ledger::on(const Event&, const JobSized& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  job->total_steps = body.total_steps;
  job->steps_per_epoch = body.steps_per_epoch;
  return true;
}

bool Ledger::on(const Event&, const EvaluationRecorded& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  // A step evaluated again (after a failure between evaluating and committing) gives the same numbers.
  if (!job->evaluations.empty() && job->evaluations.back().step >= body.step) return false;
  job->evaluations.push_back(body);
  if (body.step > job->step) job->crashes_in_a_row = 0;
  job->step = std::max(job->step, body.step);
  return true;
}

bool Ledger::on(const Event&, const CheckpointCommitted& body) {
  auto* job = active(body.job);
  if (job == nullptr || body.step < job->checkpoint_step) return false;
  if (body.step > job->checkpoint_step) job->crashes_in_a_row = 0;
  job->checkpoint_step = body.step;
  job->step = std::max(job->step, body.step);
  return true;
}

bool Ledger::on(const Event& event, const WorkerCrashed& body) {
  auto* job = active(body.job);
  if (job == nullptr) return false;
  ++job->restarts;
  job->is_restart_due = true;
  job->crashed_ms = job->run_ms(event.at_ms);
  job->runs.end();
  if (body.in_a_row != job->crashes_in_a_row) job->crash_bound = next_worker_;
  job->crashes_in_a_row = body.in_a_row;
  job->retry_at_ms = body.retry_at_ms;
  job->crash_text = cut_text(event.why, JobRecord::kMaxCrashText);
  if (!body.early_on.empty()) {
    const bool is_program = job->spec->kind != JobKind::train;
    // One faulty program after another must not make it forget what others have told of a node.
    if (is_program)
      std::erase_if(early_crashes_,
                    [&](const auto& one) { return one.job == body.job && one.node == body.early_on; });
    if (early_crashes_.size() >= kMaxEarlyCrashes) early_crashes_.erase(early_crashes_.begin());
    early_crashes_.push_back({body.early_on, body.job, event.at_ms, is_program});
    forget_sound_runs();
  }
  return true;
}

bool Ledger::on(const Event&, const RankFinished& body) {
  auto* job = active(body.job);
  const auto is_in = [&](const auto& workers) {
    return std::ranges::find(workers, body.worker) != workers.end();
  };
  if (job == nullptr || !is_in(job->members) || is_in(job->finished)) return false;
  job->finished.push_back(body.worker);
  if (const auto lease = leases_.find(body.worker); lease != leases_.end()) note_sound_run(lease->second);
  return true;
}

}  // namespace ds::scheduler
