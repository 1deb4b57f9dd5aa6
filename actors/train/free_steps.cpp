#include "actors/train/free_steps.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "actors/train/optimizer.hpp"
#include "kernels/gradient.hpp"
#include "scheduler/spec/schedule_factor.hpp"

namespace ds::train {

FreeSteps::FreeSteps(const scheduler::JobSpec& spec, const Boundaries& boundaries, Model& model,
                     ServerParameters& servers, ShareComputer& shares)
    : spec_(spec),
      schedule_(shares.schedule()),
      boundaries_(boundaries),
      model_(model),
      servers_(servers),
      shares_(shares),
      moves_(model.buffers().size() + model.counters().size() + kNumbers) {}

bool FreeSteps::have_gone_back(const std::vector<std::uint64_t>& clocks) const {
  return !clocks_.empty() && !std::ranges::equal(clocks_, clocks, std::less_equal());
}

std::uint64_t FreeSteps::resume(std::vector<std::uint64_t> clocks, const WorkerState& kept) {
  const auto [least, most] = std::ranges::minmax(clocks);
  settled_ = least == kept.step && most == kept.step;
  // A meeting that was held took all that was brought to it; else it is still owed, unless no share was made
  // since: then this worker's were of a past that servers have lost.
  if (kept.step == kept_.step && !settled_ && !have_gone_back(clocks)) {
    add_moves(moves_);
  } else {
    std::ranges::fill(moves_, 0);
  }
  ranks_.clear();
  snapshot_.reset();
  kept_ = kept;
  clocks_ = std::move(clocks);
  // A boundary is passed once all have met there.
  return least > kept.step && meets(least) ? least - 1 : least;
}

/// Ranks that are new here begin as the last meeting left them.
void FreeSteps::host(collective::RankRange hosted, WorkerState& state) {
  std::uint64_t least = state.step;
  for (std::uint32_t logical = hosted.first; logical < hosted.last; ++logical) {
    ranks_.try_emplace(logical, Rank{kept_.buffers, kept_.counters, 0, false});
    least = logical == hosted.first ? clocks_[logical] : std::min(least, clocks_[logical]);
  }
  if (least > state.step) state.step = least > kept_.step && meets(least) ? least - 1 : least;
}

Result<StepResult> FreeSteps::run(collective::Communicator& communicator, WorkerState& state) {
  WorkerState next = state;
  host(communicator.hosted(), next);
  servers_.keep_only(communicator.hosted());
  snapshot_.reset();
  settled_ = false;
  StepResult result;
  for (auto& [logical, rank] : ranks_) {
    if (clocks_[logical] > next.step) continue;
    if (const auto made = make_share(logical, next, result); !made) return tl::unexpected(made.error());
    clocks_[logical] = next.step + 1;
  }
  const BatchSchedule::Batch batch = schedule_.batch_after(next.step);
  double loss = 0, with_loss = 0;
  for (const auto& [logical, rank] : ranks_) {
    loss += rank.has_loss ? rank.loss : 0;
    with_loss += rank.has_loss ? 1 : 0;
  }
  result.loss = with_loss == 0 ? 0 : loss / with_loss;
  result.learning_rate = spec_.optimizer.lr * scheduler::schedule_factor(spec_.schedule, next.step,
                                                                         schedule_.total_steps(spec_.until));
  ++next.step;
  if (meets(next.step)) {
    if (const auto met = meet(communicator, next, result); !met) return tl::unexpected(met.error());
  }
  for (auto& [logical, rank] : ranks_) rank.has_loss = false;
  state = std::move(next);
  result.step = state.step;
  result.epoch = batch.epoch;
  result.samples = batch.positions.size();
  result.batch = spec_.batch.global;
  result.bad_records = static_cast<std::uint64_t>(state.progress.bad_records);
  result.skipped_steps = static_cast<std::uint64_t>(state.progress.skipped);
  return result;
}

Result<void> FreeSteps::make_share(std::uint32_t logical, WorkerState& state, StepResult& result) {
  const std::uint64_t clock = state.step + 1;
  const Positions share =
      part_of(schedule_.batch_after(state.step).positions, logical, spec_.logical_ranks());
  if (share.size() == 0) return servers_.push_update(logical, clock, false, 0);
  const bool bounded = spec_.strategy.consistency == "bounded";
  const std::uint64_t behind = spec_.strategy.staleness;
  const auto pulled = servers_.pull(bounded && state.step > behind ? state.step - behind : 0);
  if (!pulled) return tl::unexpected(pulled.error());
  Rank& rank = ranks_.at(logical);
  const double scale = loss_scale(spec_, state.progress);
  const Result<StepVector::Share> made = shares_.compute(
      {state.step, logical, 1, static_cast<double>(share.size()), scale, rank.buffers, rank.counters}, {},
      result);
  if (!made) return tl::unexpected(made.error());
  unscale(model_.gradients(), scale);
  const Result<Verdict> verdict = judge(*made, state);
  if (!verdict) return tl::unexpected(verdict.error());
  const bool good = *verdict == Verdict::good;
  if (good) clip_gradient(spec_.optimizer, model_.gradients());
  const double rate = spec_.optimizer.lr * scheduler::schedule_factor(spec_.schedule, state.step,
                                                                      schedule_.total_steps(spec_.until));
  if (const auto pushed = servers_.push_update(logical, clock, good, rate); !pushed) return pushed;
  numbers(moves_)[bad_records] += static_cast<double>(made->bad_records);
  count(*verdict, state.progress);
  rank.loss = made->loss;
  rank.has_loss = true;
  result.loss_scale = scale;
  result.updated = result.updated && good;
  if (good) {
    rank.buffers.assign(made->buffers_after.begin(), made->buffers_after.end());
    rank.counters.assign(made->counters_after.begin(), made->counters_after.end());
  }
  return {};
}

Result<Verdict> FreeSteps::judge(const StepVector::Share& share, const WorkerState& state) const {
  const auto bad = kernels::find_not_finite(model_.gradients());
  const bool bad_buffer = kernels::find_not_finite(share.buffers_after).has_value() &&
                          !kernels::find_not_finite(share.buffers_before);
  if (!bad && !bad_buffer && std::isfinite(share.loss)) return Verdict::good;
  Progress so_far = state.progress;  // as far as this worker knows
  so_far.skipped += number(skipped);
  so_far.overflows += number(overflows);
  return judge_not_finite(spec_, model_.parameter_slots(), {bad, !std::isfinite(share.loss)}, so_far,
                          state.step + 1);
}

/// Steps are counted at meetings; the loss scale moves at once.
void FreeSteps::count(Verdict verdict, Progress& progress) {
  Progress counted = progress;
  count_step(spec_, verdict, counted);
  numbers(moves_)[skipped] += counted.skipped - progress.skipped;
  numbers(moves_)[overflows] += counted.overflows - progress.overflows;
  progress.scale = counted.scale;
  progress.clean_steps = counted.clean_steps;
}

// ---- meetings -------------------------------------------------------------------------------------

void FreeSteps::add_moves(std::span<double> moves) const {
  const std::uint32_t first = active().first;
  for (const auto& [logical, rank] : ranks_) {
    const std::size_t buffers = kept_.buffers.size();
    for (std::size_t i = 0; i < buffers; ++i) {
      const double before = kept_.buffers[i], after = rank.buffers[i];
      if (after != before) moves[i] += after - before;  // a constant may be infinite
    }
    for (std::size_t i = 0; logical == first && i < kept_.counters.size(); ++i)
      moves[buffers + i] += static_cast<double>(rank.counters[i] - kept_.counters[i]);
  }
}

Result<void> FreeSteps::meet(collective::Communicator& communicator, WorkerState& state, StepResult& result) {
  std::vector<double> mine = moves_, all(moves_.size());
  add_moves(mine);
  for (const auto& [logical, rank] : ranks_) {
    if (!rank.has_loss) continue;
    numbers(mine)[losses] += rank.loss;
    numbers(mine)[ranks_with_loss] += 1;
  }
  if (state.progress.scale != 0) {
    numbers(mine)[scale_exponents] = std::log2(state.progress.scale);
    numbers(mine)[clean_steps] = state.progress.clean_steps;
  }
  numbers(mine)[workers] = 1;
  const collective::RankRange hosted = communicator.hosted();
  const collective::Communicator::Produce<double> produce = [&](std::uint32_t logical,
                                                                std::span<double> out) {
    std::ranges::fill(out, 0);
    if (logical == hosted.first) std::ranges::copy(mine, out.begin());
    return Result<void>();
  };
  // Each has pushed all its shares before it comes here.
  if (const auto summed = communicator.all_reduce(std::span(all), produce); !summed) return summed;
  if (const auto applied = apply(all, state, result); !applied) return applied;
  if (const auto kept = servers_.keep(state.step, to_buffer(state)); !kept) return kept;
  const auto pulled = servers_.pull(state.step);
  if (!pulled) return tl::unexpected(pulled.error());
  std::optional<OptimizerVectors> snapshot;
  if (boundaries_.is_checkpoint(state.step) && communicator.rank() == 0) {
    Result<OptimizerVectors> read = servers_.read_optimizer(state.step);
    if (!read) return tl::unexpected(read.error());
    snapshot = *std::move(read);
  }
  if (const auto together = communicator.barrier(); !together) return together;
  snapshot_ = std::move(snapshot);
  kept_ = state;
  if (hosted.size() != 0) std::ranges::fill(moves_, 0);
  for (auto& [logical, rank] : ranks_) rank = {kept_.buffers, kept_.counters, 0, false};
  settled_ = true;
  return {};
}

Result<void> FreeSteps::apply(std::span<const double> moves, WorkerState& state, StepResult& result) const {
  const double ranks = active().count;
  const std::size_t buffers = state.buffers.size();
  for (std::size_t i = 0; i < buffers; ++i) {
    if (moves[i] != 0) state.buffers[i] += static_cast<float>(moves[i] / ranks);
  }
  for (std::size_t i = 0; i < state.counters.size(); ++i)
    state.counters[i] += std::llround(moves[buffers + i]);
  const auto all = moves.last(kNumbers);
  if (const auto few = count_bad_records(state.progress, all[bad_records], kept_.step,
                                         schedule_.steps_per_epoch(), spec_.data.on_bad_record.most);
      !few)
    return few;
  state.progress.skipped += all[skipped];
  state.progress.overflows += all[overflows];
  if (kept_.progress.scale != 0) {  // between those of the workers, and a power of two as each of them
    state.progress.scale = std::exp2(std::floor(all[scale_exponents] / all[workers]));
    state.progress.clean_steps = std::floor(all[clean_steps] / all[workers]);
  }
  if (all[ranks_with_loss] > 0) result.loss = all[losses] / all[ranks_with_loss];
  return {};
}

}  // namespace ds::train
