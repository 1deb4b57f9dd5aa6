#include "scheduler/policy/autoscale.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>

namespace ds::scheduler {
namespace {

// It is missed in moments of more load than usual: what was then is seldom needed.
constexpr double kMissedAgain = 0.75;

/// To at most two decimals, without zeros at the end.
std::string to_text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", number);
  std::string out(text.data());
  while (out.ends_with('0')) out.pop_back();
  if (out.ends_with('.')) out.pop_back();
  return out;
}

std::string seconds(std::int64_t ms) {
  return to_text(static_cast<double>(ms) / 1000) + " s";
}

std::string replicas_text(std::uint32_t count) {
  return std::to_string(count) + (count == 1 ? " replica" : " replicas");
}

std::uint32_t to_count(double replicas) {
  return static_cast<std::uint32_t>(std::clamp(std::ceil(replicas - 1e-9), 0.0, 1e9));
}

/// Replicas that serve what arrives, at the best speed of one; 0: nothing was answered yet; none: nothing
/// arrives.
std::optional<double> needed_for_arrivals(const AutoscaleOptions& options, const LoadHistory& history,
                                          std::int64_t now_ms) {
  const double rate = history.arrival_rate(now_ms, options.up_delay_ms);
  if (rate <= 0) return std::nullopt;
  const double each = history.fastest_answers(now_ms, options.up_delay_ms, options.down_delay_ms);
  return each <= 0 ? 0 : rate / each;
}

AutoscaleDecision by_ongoing(const AutoscaleOptions& options, const LoadHistory& history,
                             std::int64_t now_ms) {
  const LoadSample& newest = history.samples().back();
  const std::uint32_t there = newest.ready + newest.starting;
  const double panic = history.mean_ongoing(now_ms, kPanicWindowMs);
  const double stable = history.mean_ongoing(now_ms, options.up_delay_ms);
  const bool is_burst = panic / options.target >= kPanicFactor * there;
  const double load = is_burst ? std::max(panic, stable) : stable;
  const std::string wanted_each =
      ", " + to_text(options.target) + " wanted for each of " + replicas_text(there);
  const std::string numbers = to_text(load) + " requests ongoing in the last " +
                              seconds(is_burst ? kPanicWindowMs : options.up_delay_ms) + wanted_each;
  if (load > options.target * there * (1 + kAutoscaleTolerance)) {
    const std::uint32_t wanted = to_count(load / options.target);
    const auto needed = needed_for_arrivals(options, history, now_ms);
    const std::uint32_t most = needed ? std::max(there, to_count(*needed * kBacklogShare)) : wanted;
    if (wanted <= most) return {wanted, numbers + (is_burst ? ": a burst" : "")};
    if (*needed <= 0)
      return {most, numbers + ": none has been answered yet, so it isn't known how many are needed"};
    return {most, numbers + ": mostly a backlog, what arrives needs " + to_text(*needed)};
  }
  const double largest = history.largest_mean_ongoing(now_ms, options.up_delay_ms, options.down_delay_ms);
  const std::uint32_t enough = to_count(largest / options.target / (1 - kAutoscaleTolerance));
  if (enough >= there) return {there, numbers};
  if (!history.covers(now_ms, options.down_delay_ms)) return {there, numbers + ": too early to have fewer"};
  return {enough, "at most " + to_text(largest) + " requests ongoing in the last " +
                      seconds(options.down_delay_ms) + wanted_each};
}

/// What `by_latency` looks at.
struct Latency {
  double lowest_ms = 0;     ///< of `up_delay_ms`
  double highest_ms = 0;    ///< of `down_delay_ms`
  bool is_settled = false;  ///< in all of `up_delay_ms` the same replicas were ready and none was starting
  bool is_steady = false;   ///< in all of `down_delay_ms` as many were ready and starting as now
};

Latency look_at_latency(const AutoscaleOptions& options, const LoadHistory& history, std::int64_t now_ms) {
  const LoadSample& newest = history.samples().back();
  Latency seen{newest.p99_ms, 0, newest.starting == 0 && history.covers(now_ms, options.up_delay_ms),
               history.covers(now_ms, options.down_delay_ms)};
  for (const LoadSample& sample : history.samples()) {
    const bool is_same = sample.ready == newest.ready && sample.starting == newest.starting;
    if (sample.at_ms > now_ms - options.up_delay_ms) {
      seen.lowest_ms = std::min(seen.lowest_ms, sample.p99_ms);
      seen.is_settled = seen.is_settled && is_same;
    }
    if (sample.at_ms > now_ms - options.down_delay_ms) {
      seen.highest_ms = std::max(seen.highest_ms, sample.p99_ms);
      seen.is_steady = seen.is_steady && is_same;
    }
  }
  return seen;
}

AutoscaleDecision by_latency(const AutoscaleOptions& options, const LoadHistory& history,
                             std::int64_t now_ms) {
  const LoadSample& newest = history.samples().back();
  const std::uint32_t there = newest.ready + newest.starting;
  const Latency seen = look_at_latency(options, history, now_ms);
  const std::string objective =
      "the objective " + to_text(options.p99_ms) + " ms with " + replicas_text(there);
  if (seen.is_settled && seen.lowest_ms > options.p99_ms) {
    double factor = seen.lowest_ms / options.p99_ms;
    if (const double each = history.most_ongoing_within(options.p99_ms); each > 0)
      factor = std::min(factor, history.mean_ongoing(now_ms, options.up_delay_ms) / (each * there));
    double wanted = there * std::min(factor, kMostLatencyGrowth);
    if (const auto needed = needed_for_arrivals(options, history, now_ms))
      wanted = std::min(wanted, *needed * kBacklogShare);
    return {std::max(there + 1, to_count(wanted)), "p99 " + to_text(seen.lowest_ms) +
                                                       " ms or more in the last " +
                                                       seconds(options.up_delay_ms) + ", " + objective};
  }
  const double after_ms = there > 1 ? seen.highest_ms * there / (there - 1) : seen.highest_ms;
  if (seen.is_steady && there > 1 && seen.highest_ms < options.p99_ms / 2 &&
      after_ms < options.p99_ms * 0.7) {
    const double missed = history.rate_that_missed(options.p99_ms, there - 1, now_ms);
    const double rate = history.arrival_rate(now_ms, options.down_delay_ms);
    if (missed > 0 && rate > missed * kMissedAgain) {
      return {there, replicas_text(there - 1) + " missed the objective at " + to_text(missed) +
                         " requests a second, and now there are " + to_text(rate)};
    }
    return {there - 1, "p99 at most " + to_text(seen.highest_ms) + " ms in the last " +
                           seconds(options.down_delay_ms) + ", " + objective};
  }
  return {there, "p99 " + to_text(newest.p99_ms) + " ms, " + objective};
}

AutoscaleDecision choose(const AutoscaleOptions& options, const LoadHistory& history, std::int64_t now_ms) {
  if (history.samples().empty()) return {options.min, "nothing is known of the load yet"};
  const LoadSample& newest = history.samples().back();
  const std::uint32_t there = newest.ready + newest.starting;
  if (options.min == 0 && history.is_idle(now_ms, options.to_zero_after_ms))
    return {0, "no request in the last " + seconds(options.to_zero_after_ms)};
  if (newest.ready == 0) {
    const bool is_wanted = there > 0 || newest.ongoing > 0 || newest.arrivals > 0;
    if (!is_wanted) return {0, "no replica and no request"};
    if (there > 0) return {there, replicas_text(there) + " starting, and none is ready yet"};
    return {1, to_text(newest.ongoing) + " requests wait and there is no replica"};
  }
  AutoscaleDecision chosen{1, "no target"};
  if (options.target > 0) chosen = by_ongoing(options, history, now_ms);
  if (options.p99_ms > 0) {
    AutoscaleDecision latency = by_latency(options, history, now_ms);
    if (options.target <= 0 || latency.replicas > chosen.replicas) chosen = std::move(latency);
  }
  // The last one goes only when it is forgotten.
  chosen.replicas = std::max(chosen.replicas, 1U);
  return chosen;
}

}  // namespace

AutoscaleDecision autoscale(const AutoscaleOptions& options, const LoadHistory& history,
                            std::int64_t now_ms) {
  AutoscaleDecision chosen = choose(options, history, now_ms);
  const std::uint32_t within = std::clamp(chosen.replicas, options.min, std::max(options.min, options.max));
  if (within > chosen.replicas) chosen.reason += "; the minimum is " + std::to_string(options.min);
  if (within < chosen.replicas) chosen.reason += "; the maximum is " + std::to_string(options.max);
  chosen.replicas = within;
  return chosen;
}

}  // namespace ds::scheduler
