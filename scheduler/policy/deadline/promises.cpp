#include "scheduler/policy/deadline/promises.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scheduler/policy/deadline/slot_calendar.hpp"

namespace ds::scheduler {
namespace {

/// How often a job that finds no place in the order of deadlines is put first and all is tried again.
constexpr int kReorders = 8;

/// The cheapest promise that the calendar has for the job and that ends it in time.
std::optional<Promise> find_cheapest(const SlotCalendar& calendar, const DeadlineJob& job) {
  std::optional<Promise> best;
  double least = 0;
  for (const DeadlineSize& size : job.sizes) {
    Promise promise = calendar.fill(job, size.slots);
    const auto end = forecast(job, promise, calendar.clock());
    if (!end || !is_in_time(job, *end) || (best && end->slot_s >= least)) continue;
    least = end->slot_s;
    best = std::move(promise);
  }
  return best;
}

/// When the job would end that took what the calendar has.
std::optional<double> find_end_s(const SlotCalendar& calendar, const DeadlineJob& job) {
  std::optional<double> earliest;
  for (const DeadlineSize& size : job.sizes) {
    const auto end = forecast(job, calendar.fill(job, size.slots), calendar.clock());
    if (end && (!earliest || end->end_s < *earliest)) earliest = end->end_s;
  }
  return earliest;
}

double sum_slot_s(std::span<const DeadlineJob> jobs, std::span<const Promise> promises,
                  const RoundClock& clock) {
  double sum = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (const auto end = forecast(jobs[i], promises[i], clock)) sum += end->slot_s;
  }
  return sum;
}

/// Promises for all, or nothing when none were found.
std::optional<std::vector<Promise>> promise_all(std::uint32_t total, const RoundClock& clock,
                                                std::span<const DeadlineJob> jobs) {
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return jobs[a].deadline_s < jobs[b].deadline_s; });
  for (int attempt = 0; attempt <= kReorders; ++attempt) {
    SlotCalendar calendar(total, clock);
    std::vector<Promise> promises(jobs.size());
    const auto failed = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
      auto promise = find_cheapest(calendar, jobs[i]);
      if (!promise || !calendar.take(*promise)) return true;
      promises[i] = std::move(*promise);
      return false;
    });
    if (failed == order.end()) return promises;
    if (failed == order.begin()) return std::nullopt;
    std::rotate(order.begin(), failed, failed + 1);
  }
  return std::nullopt;
}

/// What one round on `slots` and then the promise comes to.
std::optional<Forecast> forecast_with(const DeadlineJob& job, const Promise& promise, const RoundClock& clock,
                                      std::uint32_t slots) {
  Promise changed;
  if (slots > 0) changed.push_back({clock.now, clock.now + 1, slots});
  for (Stretch stretch : promise) {
    stretch.from = std::max(stretch.from, clock.now + 1);
    if (stretch.from < stretch.to) changed.push_back(stretch);
  }
  return forecast(job, changed, clock);
}

struct Step {
  double saved_s = 0;  ///< slot-seconds of the promise for each slot more
  std::size_t job = 0;
  std::uint32_t slots = 0;
};

/// The slot-seconds from the next round on.
double promised_s(const Forecast& end, const RoundClock& clock, std::uint32_t slots) {
  return end.slot_s -
         slots * std::min(clock.round_s, end.end_s - static_cast<double>(clock.now) * clock.round_s);
}

std::optional<Step> best_step(const DeadlineJob& job, const Promise& promise, const RoundClock& clock,
                              std::uint32_t slots, std::uint32_t free) {
  const auto now = forecast_with(job, promise, clock, slots);
  if (!now) return std::nullopt;
  std::optional<Step> best;
  for (const DeadlineSize& size : job.sizes) {
    if (size.slots <= slots || size.slots - slots > free) continue;
    const auto end = forecast_with(job, promise, clock, size.slots);
    if (!end || !is_in_time(job, *end)) continue;
    const double saved_s =
        (promised_s(*now, clock, slots) - promised_s(*end, clock, size.slots)) / (size.slots - slots);
    if (saved_s > (best ? best->saved_s : 0)) best = {saved_s, 0, size.slots};
  }
  return best;
}

}  // namespace

Promises::Promises(std::uint32_t total, const RoundClock& clock, std::vector<DeadlineJob> jobs,
                   std::vector<Promise> promises)
    : total_(total), clock_(clock), jobs_(std::move(jobs)), promises_(std::move(promises)) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (const auto end = forecast(jobs_[i], promises_[i], clock_))
      promises_[i] = trim(promises_[i], clock_, end->rounds);
  }
}

void Promises::renew() {
  auto renewed = promise_all(total_, clock_, jobs_);
  if (renewed && sum_slot_s(jobs_, *renewed, clock_) < sum_slot_s(jobs_, promises_, clock_))
    promises_ = std::move(*renewed);
}

std::optional<std::vector<Promise>> Promises::find_for(const DeadlineJob& newcomer) const {
  std::vector<DeadlineJob> all = jobs_;
  all.push_back(newcomer);
  if (auto promises = promise_all(total_, clock_, all)) return promises;
  // The order of deadlines leads nowhere; perhaps the present promises leave enough.
  SlotCalendar calendar(total_, clock_);
  for (const Promise& promise : promises_) calendar.take(promise);
  auto promise = find_cheapest(calendar, newcomer);
  if (!promise) return std::nullopt;
  std::vector<Promise> promises = promises_;
  promises.push_back(std::move(*promise));
  return promises;
}

std::optional<double> Promises::find_earliest_s(DeadlineJob newcomer) const {
  SlotCalendar calendar(total_, clock_);
  for (const Promise& promise : promises_) calendar.take(promise);
  const auto end_s = find_end_s(calendar, newcomer);
  if (!end_s) return std::nullopt;
  double refused_s = std::ceil(newcomer.deadline_s);
  double accepted_s = std::max(std::ceil(*end_s) + 1, refused_s + 1);
  while (accepted_s - refused_s > 1) {
    newcomer.deadline_s = std::floor((refused_s + accepted_s) / 2);
    (find_for(newcomer) ? accepted_s : refused_s) = newcomer.deadline_s;
  }
  return accepted_s;
}

DeadlineAnswer Promises::admit(const DeadlineJob& job) {
  auto promises = find_for(job);
  if (!promises) return {{}, find_earliest_s(job)};
  jobs_.push_back(job);
  promises_ = std::move(*promises);
  return {promises_.back(), {}};
}

std::vector<std::uint32_t> Promises::share_round() const {
  std::vector<std::uint32_t> slots(jobs_.size(), 0);
  std::uint32_t free = total_;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    for (const Stretch& stretch : promises_[i]) {
      if (stretch.from <= clock_.now && clock_.now < stretch.to) slots[i] = stretch.slots;
    }
    free -= slots[i];
  }
  while (free > 0) {
    std::optional<Step> best;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      auto step = best_step(jobs_[i], promises_[i], clock_, slots[i], free);
      if (!step || (best && best->saved_s >= step->saved_s)) continue;
      step->job = i;
      best = step;
    }
    if (!best) break;
    free -= best->slots - slots[best->job];
    slots[best->job] = best->slots;
  }
  return slots;
}

}  // namespace ds::scheduler
