#include "actors/parameters/shard_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ds::parameters {

RangeShard::State::State(ShardOptions shard_options)
    : options(std::move(shard_options)),
      vectors(options),
      clocks(options.sync ? 0 : options.logical_ranks),
      parts(options.logical_ranks, options.range.size()) {}

std::string RangeShard::State::name() const {
  return fmt::format("parameters {} to {}", options.range.first, options.range.last);
}

void RangeShard::State::prepare() {
  if (!sum) sum.emplace(options.range.size());
  verdict = write_sum(parts, *asked, sum->values());
  prepared = true;
  stored = false;
  sum_number.reset();
}

bool RangeShard::State::store(const StoreSum& one) {
  if (!options.sync || !has_state || one.sum.size() != options.range.size() * sizeof(float)) return false;
  if (one.step + one.steps == step) return true;  // it is made already
  if (one.step != step || one.steps == 0) return false;
  if (!sum) sum.emplace(options.range.size());
  std::ranges::copy(one.sum.bytes(), std::as_writable_bytes(sum->values()).begin());
  prepared = true;
  asked_steps = one.steps;
  verdict.reset();
  return true;
}

Result<void> RangeShard::State::check_commit(const Commit& one) const {
  if (one.step < step && one.step_after() == step) {
    if (!last_commit || *last_commit == one) return {};
    return fail(ErrorCode::conflict, fmt::format("{}: step {} was made otherwise", name(), step));
  }
  if (one.step != step || !prepared || one.steps != asked_steps)
    return fail(ErrorCode::conflict,
                fmt::format("{}: step {} cannot be made now: {} are, and the next is {}", name(),
                            one.step_after(), step, prepared ? "prepared" : "not prepared"));
  if (one.updated && one.update == 0)
    return fail(ErrorCode::invalid_argument, fmt::format("{}: updates are counted from 1", name()));
  return {};
}

Result<void> RangeShard::State::commit(const Commit& one) {
  if (const auto fits = check_commit(one); !fits) return fits;
  if (one.step != step) return {};
  step += one.steps;
  if (one.updated) {
    updates = one.update;
    const float* const values = sum->values().data();
    vectors.update([&](std::uint64_t first, std::size_t, float*) { return values + first; },
                   {static_cast<float>(one.clip_factor), one.learning_rate, updates, step + 1});
  }
  last_commit = one;
  last_commit->worker_state = worker_state = Buffer::copy_of(one.worker_state.bytes());
  forget_sum();
  return {};
}

Result<bool> RangeShard::State::apply(const PushUpdate& push) {
  if (push.logical_rank >= clocks.size())
    return fail(ErrorCode::invalid_argument, fmt::format("{}: there are {} logical ranks, none is number {}",
                                                         name(), clocks.size(), push.logical_rank));
  std::uint64_t& clock = clocks[push.logical_rank];
  if (push.clock <= clock) return false;
  if (push.clock != clock + 1)
    return fail(ErrorCode::conflict, fmt::format("{}: logical rank {} comes with share {} after share {}",
                                                 name(), push.logical_rank, push.clock, clock));
  if (push.updated) {
    Result<PayloadReader> gradient = PayloadReader::open(push.gradient, options.range.size());
    if (!gradient) return tl::unexpected(gradient.error());
    ++updates;
    vectors.update([&](std::uint64_t first, std::size_t count,
                       float* scratch) { return gradient->read(first, count, scratch); },
                   {1, push.learning_rate, updates, updates + 1});
  }
  clock = push.clock;
  return true;
}

bool RangeShard::State::keep(const KeepWorkerState& one) {
  if (one.clock < worker_clock) return false;
  worker_clock = one.clock;
  worker_state = Buffer::copy_of(one.worker_state.bytes());
  return true;
}

Result<void> RangeShard::State::restore(const RangeImage& image) {
  if (image.clocks.size() != clocks.size())
    return fail(ErrorCode::invalid_argument, fmt::format("{}: the image has {} clocks where {} belong",
                                                         name(), image.clocks.size(), clocks.size()));
  const bool commit_fits =
      image.last_commit.empty() ||
      (options.sync && image.last_commit.size() == 1 && image.last_commit.front().step_after() == image.step);
  if (!commit_fits)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the image's last commit does not lead to its step {}", name(), image.step));
  const std::uint64_t count = options.sync ? image.step : image.updates;
  if (const auto fits = vectors.restore(image, count + 1); !fits) return fits;
  step = image.step;
  updates = image.updates;
  clocks = image.clocks;
  worker_state = Buffer::copy_of(image.worker_state.bytes());
  worker_clock = 0;
  last_commit.reset();
  if (!image.last_commit.empty()) {
    last_commit = image.last_commit.front();
    last_commit->worker_state = Buffer::copy_of(image.last_commit.front().worker_state.bytes());
  }
  has_state = true;
  forget_sum();
  return {};
}

void RangeShard::State::forget_sum() {
  parts.clear();
  asked.reset();
  prepared = stored = false;
  sum_number.reset();
  verdict.reset();
}

void RangeShard::State::forget_askers() {
  stateless.clear();
  pushes.clear();
  pulls.clear();
  unstored.clear();
}

}  // namespace ds::parameters
