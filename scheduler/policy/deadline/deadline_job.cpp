#include "scheduler/policy/deadline/deadline_job.hpp"

#include <algorithm>
#include <cmath>

namespace ds::scheduler {
namespace {

/// Sums of step times may differ by rounding from one round to the next.
constexpr double kRoundingS = 1e-3;

}  // namespace

const DeadlineSize* find_size(const DeadlineJob& job, std::uint32_t slots) {
  const DeadlineSize* found = nullptr;
  for (const DeadlineSize& size : job.sizes) {
    if (size.slots <= slots) found = &size;
  }
  return found;
}

std::optional<Forecast> forecast(const DeadlineJob& job, std::span<const Stretch> promise,
                                 const RoundClock& clock) {
  double left = job.steps_left;
  std::uint32_t slots = job.slots;
  double standing_s = job.standing_s;
  std::uint64_t at = clock.now;
  Forecast result;
  for (const Stretch& stretch : promise) {
    if (stretch.to <= at) continue;
    const std::uint64_t from = std::max(stretch.from, at);
    if (from > at) slots = 0;
    const DeadlineSize* size = find_size(job, stretch.slots);
    if (size == nullptr) continue;
    if (size->slots != slots) standing_s = size->restart_s;
    slots = size->slots;
    const double seconds = static_cast<double>(stretch.to - from) * clock.round_s;
    const double needed_s = standing_s + left / size->steps_per_s;
    if (needed_s <= seconds) {
      const auto needed = static_cast<std::uint64_t>(std::ceil(needed_s / clock.round_s));
      result.end_s = static_cast<double>(from) * clock.round_s + needed_s;
      result.rounds = from + std::max<std::uint64_t>(needed, 1);
      result.slot_s += needed_s * slots;
      return result;
    }
    result.slot_s += seconds * slots;
    left -= std::max(0.0, seconds - standing_s) * size->steps_per_s;
    standing_s = std::max(0.0, standing_s - seconds);
    at = stretch.to;
  }
  return std::nullopt;
}

bool is_in_time(const DeadlineJob& job, const Forecast& forecast) {
  return forecast.end_s + kRoundingS < job.deadline_s;
}

Promise trim(const Promise& promise, const RoundClock& clock, std::uint64_t rounds) {
  Promise left;
  for (Stretch stretch : promise) {
    stretch.from = std::max(stretch.from, clock.now);
    stretch.to = std::min(stretch.to, rounds);
    if (stretch.from < stretch.to) left.push_back(stretch);
  }
  return left;
}

}  // namespace ds::scheduler
