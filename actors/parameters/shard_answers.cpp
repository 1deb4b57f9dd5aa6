#include <algorithm>
#include <utility>

#include "actors/parameters/shard_state.hpp"

namespace ds::parameters {

std::uint64_t RangeShard::State::send(ReplicaUpdate update) {
  const std::uint64_t number = next_number++;
  actions.push_back(SendToReplicas{number, std::move(update)});
  return number;
}

void RangeShard::State::answer_when_stored(Ticket ticket, std::optional<ReplicaUpdate> update, Answer what) {
  if (options.replicated && update) {
    unstored.push_back({send(*std::move(update)), ticket, std::move(what)});
  } else if (options.replicated && !unstored.empty()) {
    unstored.push_back({unstored.back().number, ticket, std::move(what)});
  } else {
    answer(ticket, std::move(what));
  }
}

/// The sum is prepared; the push is answered as soon as nothing can lose it.
void RangeShard::State::answer_push(Ticket push) {
  if (options.replicated && !stored) {
    pushes.push_back(push);
    if (!sum_number) send_sum();
    return;
  }
  Prepared prepared_sum{step, !verdict->not_finite, verdict->not_finite.value_or(0), {}, {}};
  if (asked->want_squares)
    prepared_sum.squares = Buffer::copy_of(std::as_bytes(std::span(std::as_const(verdict->squares))));
  if (asked->want_uncut_squares)
    prepared_sum.uncut_squares =
        Buffer::copy_of(std::as_bytes(std::span(std::as_const(verdict->uncut_squares))));
  answer(push, std::move(prepared_sum));
}

void RangeShard::State::send_sum() {
  sum_number = send(StoreSum{step, sum->lend(), asked_steps});
}

std::uint64_t RangeShard::State::slowest() const {
  if (options.sync) return step;
  return clocks.empty() ? 0 : *std::ranges::min_element(clocks);
}

Pulled RangeShard::State::pulled(std::uint64_t have) const {
  // In sync mode all have copied the parameters before anybody can commit a step that changes them.
  return {version(), slowest(), clocks, vectors.changed_since(have > version() ? 0 : have, options.sync),
          worker_state};
}

void RangeShard::State::answer_pulls() {
  const std::uint64_t reached = slowest();
  const auto ready = std::ranges::stable_partition(
      pulls, [&](const WaitingPull& waiting) { return waiting.pull.at_least > reached; });
  for (const WaitingPull& waiting : ready) answer(waiting.ticket, pulled(waiting.pull.have));
  pulls.erase(ready.begin(), ready.end());
}

RangeImage RangeShard::State::image_without_vectors() const {
  RangeImage image;
  image.step = step;
  image.updates = updates;
  image.clocks = clocks;
  image.worker_state = worker_state;
  if (last_commit) image.last_commit.push_back(*last_commit);
  return image;
}

RangeImage RangeShard::State::image() const {
  RangeImage image = image_without_vectors();
  vectors.copy_to(image);
  return image;
}

}  // namespace ds::parameters
