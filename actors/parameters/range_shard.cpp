#include "actors/parameters/range_shard.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "actors/parameters/shard_state.hpp"

namespace ds::parameters {

// ---- requests -------------------------------------------------------------------------------------

Result<void> RangeShard::State::expect_mode(bool sync, const char* what) const {
  if (options.sync == sync) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: {} belongs to a job that is{} synchronous", name(), what, sync ? "" : " not"));
}

void RangeShard::State::handle(Ticket ticket, Request request) {
  if (waiting() >= kMaxWaiting) {
    actions.push_back(SendAnswer{
        ticket, fail(ErrorCode::resource_exhausted, fmt::format("{}: {} requests wait", name(), waiting()))});
    return;
  }
  if (!has_state && !std::holds_alternative<Install>(request)) {
    stateless.emplace_back(ticket, std::move(request));
    return;
  }
  const Result<void> taken = std::visit([&](const auto& one) { return on(ticket, one); }, request);
  if (!taken) actions.push_back(SendAnswer{ticket, tl::unexpected(taken.error())});
}

Result<void> RangeShard::State::on(Ticket ticket, const PushSum& push) {
  if (const auto fits = expect_mode(true, "a part of a sum"); !fits) return fits;
  if (push.step != step)
    return fail(ErrorCode::conflict,
                fmt::format("{}: a part of step {} comes after {} steps", name(), push.step + 1, step));
  if (push.steps == 0)
    return fail(ErrorCode::invalid_argument, fmt::format("{}: a sum makes one step at least", name()));
  const SumOptions wanted{push.unscale, push.clip_value, push.want_squares, push.want_uncut_squares};
  const bool is_first = !asked && !prepared;
  if ((asked && *asked != wanted) || (!is_first && asked_steps != push.steps))
    return fail(ErrorCode::conflict,
                fmt::format("{}: workers want different things of step {}", name(), push.step + 1));
  if (!verdict) {
    if (const auto added = parts.add(push.parts); !added) return added;
  }
  asked = wanted;
  asked_steps = push.steps;
  if (!verdict && !parts.complete()) {
    pushes.push_back(ticket);
    return {};
  }
  std::vector<Ticket> all = std::exchange(pushes, {});
  all.push_back(ticket);
  if (!verdict) prepare();
  for (const Ticket one : all) answer_push(one);
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const CommitAndPull& request) {
  if (const auto fits = expect_mode(true, "a commit"); !fits) return fits;
  const std::uint64_t before = step;
  if (const auto done = commit(request.commit); !done) return done;
  // Workers who saw a step must never see it undone, so replicas know of it first.
  if (step != before && announced) {
    unstored.push_back({*std::exchange(announced, std::nullopt), ticket, pulled(request.have)});
  } else {
    answer_when_stored(ticket, step != before ? std::optional<ReplicaUpdate>(*last_commit) : std::nullopt,
                       pulled(request.have));
  }
  if (step != before) answer_pulls();
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const PushUpdate& push) {
  if (const auto fits = expect_mode(false, "an update of one logical rank"); !fits) return fits;
  const Result<bool> fresh = apply(push);
  if (!fresh) return tl::unexpected(fresh.error());
  answer_when_stored(ticket, *fresh ? std::optional<ReplicaUpdate>(push) : std::nullopt, Pushed{clocks});
  if (*fresh) answer_pulls();
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const Pull& pull) {
  if (pull.at_least <= slowest()) {
    answer(ticket, pulled(pull.have));
  } else {
    pulls.push_back({ticket, pull});
  }
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const Install& install) {
  if (has_state) return fail(ErrorCode::conflict, fmt::format("{}: there is a state already", name()));
  if (const auto restored = restore(install.image); !restored) return restored;
  answer_when_stored(ticket, install, Done{});
  for (auto& [waiting_ticket, request] : std::exchange(stateless, {}))
    handle(waiting_ticket, std::move(request));
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const KeepWorkerState& one) {
  if (const auto fits = expect_mode(false, "a state of workers"); !fits) return fits;
  const bool fresh = keep(one);
  answer_when_stored(ticket, fresh ? std::optional<ReplicaUpdate>(one) : std::nullopt, Done{});
  return {};
}

Result<void> RangeShard::State::on(Ticket ticket, const ReadRange&) {
  RangeImage image = image_without_vectors();
  vectors.copy_optimizer_to(image);
  answer(ticket, std::move(image));
  return {};
}

// ---- the face -------------------------------------------------------------------------------------

RangeShard::RangeShard(ShardOptions options) : state_(std::make_unique<State>(std::move(options))) {}
RangeShard::~RangeShard() = default;
RangeShard::RangeShard(RangeShard&&) noexcept = default;
RangeShard& RangeShard::operator=(RangeShard&&) noexcept = default;

ShardActions RangeShard::announce(const Request& request) {
  State& state = *state_;
  const auto* one = std::get_if<CommitAndPull>(&request);
  if (one != nullptr && state.options.replicated && !state.announced && state.waiting() < kMaxWaiting &&
      one->commit.step == state.step && state.check_commit(one->commit))
    state.announced = state.send(one->commit);
  return std::exchange(state.actions, {});
}

ShardActions RangeShard::on_request(Ticket ticket, Request request) {
  state_->handle(ticket, std::move(request));
  return std::exchange(state_->actions, {});
}

ShardActions RangeShard::on_stored(std::uint64_t number) {
  State& state = *state_;
  while (!state.unstored.empty() && state.unstored.front().number <= number) {
    state.answer(state.unstored.front().ticket, std::move(state.unstored.front().answer));
    state.unstored.pop_front();
  }
  if (state.sum_number && *state.sum_number <= number) {
    state.sum_number.reset();
    state.stored = true;
    for (const Ticket push : std::exchange(state.pushes, {})) state.answer_push(push);
  }
  return std::exchange(state.actions, {});
}

void RangeShard::end_generation() {
  State& state = *state_;
  state.forget_askers();
  state.parts.clear();
  state.asked.reset();
  state.stored = false;  // replicas may be others in the next one
  state.sum_number.reset();
  state.announced.reset();
}

void RangeShard::begin_generation(bool replicated) {
  end_generation();
  state_->forget_sum();
  state_->options.replicated = replicated;
}

bool RangeShard::has_state() const {
  return state_->has_state;
}

std::uint64_t RangeShard::applied() const {
  const auto& clocks = state_->clocks;
  return state_->options.sync ? state_->step
                              : std::accumulate(clocks.begin(), clocks.end(), std::uint64_t{0});
}

std::uint64_t RangeShard::prepared() const {
  return applied() + (state_->prepared ? state_->asked_steps : 0);
}

const std::optional<Commit>& RangeShard::last_commit() const {
  return state_->last_commit;
}

Result<void> RangeShard::roll_forward(const Commit& commit) {
  return state_->commit(commit);
}

RangeImage RangeShard::image() const {
  return state_->image();
}

Result<void> RangeShard::restore(const RangeImage& image) {
  return state_->restore(image);
}

}  // namespace ds::parameters
