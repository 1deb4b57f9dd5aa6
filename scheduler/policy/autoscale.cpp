#include "scheduler/policy/autoscale.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace ds::scheduler {
namespace {

using Samples = std::deque<LoadSample>;

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

/// Of the samples within the window, or the newest alone where there is none.
double mean_ongoing(const Samples& samples, std::int64_t now_ms, std::int64_t window_ms) {
  double sum = 0;
  std::size_t count = 0;
  for (auto sample = samples.rbegin(); sample != samples.rend(); ++sample, ++count) {
    if (count > 0 && sample->at_ms <= now_ms - window_ms) break;
    sum += sample->ongoing;
  }
  return sum / static_cast<double>(count);
}

/// The first that is later; all are older: the newest.
std::size_t first_after(const Samples& samples, std::int64_t at_ms) {
  const auto found = std::ranges::upper_bound(samples, at_ms, {}, &LoadSample::at_ms);
  return std::min(static_cast<std::size_t>(found - samples.begin()), samples.size() - 1);
}

/// The largest mean over `up_delay_ms` that ended within `down_delay_ms`.
double largest_mean(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  double largest = 0, sum = 0;
  std::size_t first = first_after(samples, now_ms - options.down_delay_ms - options.up_delay_ms);
  for (std::size_t last = first; last < samples.size(); ++last) {
    sum += samples[last].ongoing;
    while (samples[first].at_ms <= samples[last].at_ms - options.up_delay_ms && first < last)
      sum -= samples[first++].ongoing;
    if (samples[last].at_ms > now_ms - options.down_delay_ms || last + 1 == samples.size())
      largest = std::max(largest, sum / static_cast<double>(last - first + 1));
  }
  return largest;
}

/// Whether samples reach back so long: else nothing is known of that time.
bool covers(const Samples& samples, std::int64_t now_ms, std::int64_t window_ms) {
  return samples.front().at_ms <= now_ms - window_ms;
}

/// What arrives over what a replica can answer, as far as that has been seen; 0: unknown.
double replicas_for_arrivals(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  double fastest = 0;  // answers a millisecond of a replica, over windows of `up_delay_ms`
  double arrivals = 0, answered = 0, replica_ms = 0;
  std::size_t first =
      std::max<std::size_t>(1, first_after(samples, now_ms - options.down_delay_ms - options.up_delay_ms));
  const auto lasted = [&](std::size_t i) {
    return static_cast<double>(samples[i].at_ms - samples[i - 1].at_ms);
  };
  for (std::size_t last = first; last < samples.size(); ++last) {
    arrivals += static_cast<double>(samples[last].arrivals);
    answered += static_cast<double>(samples[last].answered);
    replica_ms += lasted(last) * samples[last].ready;
    for (; first < last && samples[first].at_ms <= samples[last].at_ms - options.up_delay_ms; ++first) {
      arrivals -= static_cast<double>(samples[first].arrivals);
      answered -= static_cast<double>(samples[first].answered);
      replica_ms -= lasted(first) * samples[first].ready;
    }
    if (samples[last].at_ms > now_ms - options.down_delay_ms && replica_ms > 0)
      fastest = std::max(fastest, answered / replica_ms);
  }
  if (fastest <= 0) return 0;
  const auto window_ms = static_cast<double>(samples.back().at_ms - samples[first - 1].at_ms);
  return window_ms <= 0 ? 0 : arrivals / window_ms / fastest;
}

AutoscaleDecision by_ongoing(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  const LoadSample& newest = samples.back();
  const std::uint32_t there = newest.ready + newest.starting;
  const double panic = mean_ongoing(samples, now_ms, kPanicWindowMs);
  const double stable = mean_ongoing(samples, now_ms, options.up_delay_ms);
  const bool is_burst = panic / options.target >= kPanicFactor * there;
  const double load = is_burst ? std::max(panic, stable) : stable;
  const std::string numbers = to_text(load) + " requests ongoing in the last " +
                              seconds(is_burst ? kPanicWindowMs : options.up_delay_ms) + ", " +
                              to_text(options.target) + " wanted for each of " + replicas_text(there);
  if (load > options.target * there * (1 + kAutoscaleTolerance)) {
    const std::uint32_t wanted = to_count(load / options.target);
    const double needed = replicas_for_arrivals(options, samples, now_ms);
    const std::uint32_t most = needed > 0 ? std::max(there, to_count(needed * kBacklogShare)) : wanted;
    if (wanted <= most) return {wanted, numbers + (is_burst ? ": a burst" : "")};
    return {most, numbers + ": mostly a backlog, what arrives needs " + to_text(needed)};
  }
  const double largest = largest_mean(options, samples, now_ms);
  const std::uint32_t enough = to_count(largest / options.target / (1 - kAutoscaleTolerance));
  if (enough >= there) return {there, numbers};
  if (!covers(samples, now_ms, options.down_delay_ms)) return {there, numbers + ": too early to have fewer"};
  return {enough, "at most " + to_text(largest) + " requests ongoing in the last " +
                      seconds(options.down_delay_ms) + ", " + to_text(options.target) +
                      " wanted for each of " + replicas_text(there)};
}

/// The most requests a replica had at once while the objective was kept; 0: unknown.
double ongoing_within(double p99_ms, const Samples& samples) {
  double most = 0;
  for (const LoadSample& sample : samples) {
    if (sample.p99_ms > 0 && sample.p99_ms <= p99_ms && sample.ready > 0)
      most = std::max(most, sample.ongoing / sample.ready);
  }
  return most;
}

AutoscaleDecision by_latency(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  const LoadSample& newest = samples.back();
  const std::uint32_t there = newest.ready + newest.starting;
  double lowest = newest.p99_ms, highest = 0;  // of up_delay; of down_delay
  bool is_settled = newest.starting == 0 && covers(samples, now_ms, options.up_delay_ms);
  bool is_steady = newest.starting == 0 && covers(samples, now_ms, options.down_delay_ms);
  for (const LoadSample& sample : samples) {
    const bool is_same = sample.ready == newest.ready && sample.starting == 0;
    if (sample.at_ms > now_ms - options.up_delay_ms) {
      lowest = std::min(lowest, sample.p99_ms);
      is_settled = is_settled && is_same;
    }
    if (sample.at_ms > now_ms - options.down_delay_ms) {
      highest = std::max(highest, sample.p99_ms);
      is_steady = is_steady && is_same;
    }
  }
  const std::string objective =
      "the objective " + to_text(options.p99_ms) + " ms with " + replicas_text(there);
  if (is_settled && lowest > options.p99_ms) {
    double factor = lowest / options.p99_ms;
    if (const double each = ongoing_within(options.p99_ms, samples); each > 0)
      factor = std::min(factor, mean_ongoing(samples, now_ms, options.up_delay_ms) / (each * there));
    factor = std::clamp(factor, 1.0, kMostLatencyGrowth);
    return {std::max(there + 1, to_count(there * factor)),
            "p99 " + to_text(lowest) + " ms or more in the last " + seconds(options.up_delay_ms) + ", " +
                objective};
  }
  const double after = there > 1 ? highest * there / (there - 1) : highest;
  if (is_steady && there > 1 && highest < options.p99_ms / 2 && after < options.p99_ms * 0.7) {
    return {there - 1, "p99 at most " + to_text(highest) + " ms in the last " +
                           seconds(options.down_delay_ms) + ", " + objective};
  }
  return {there, "p99 " + to_text(newest.p99_ms) + " ms, " + objective};
}

/// None in `to_zero_after_ms`, all of which samples cover.
bool is_forgotten(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  if (!covers(samples, now_ms, options.to_zero_after_ms)) return false;
  return std::ranges::none_of(samples, [&](const LoadSample& sample) {
    return sample.at_ms > now_ms - options.to_zero_after_ms && (sample.ongoing > 0 || sample.arrivals > 0);
  });
}

AutoscaleDecision choose(const AutoscaleOptions& options, const Samples& samples, std::int64_t now_ms) {
  if (samples.empty()) return {options.min, "nothing is known of the load yet"};
  const LoadSample& newest = samples.back();
  const std::uint32_t there = newest.ready + newest.starting;
  if (options.min == 0 && is_forgotten(options, samples, now_ms))
    return {0, "no request in the last " + seconds(options.to_zero_after_ms)};
  if (newest.ready == 0) {
    const bool is_wanted = there > 0 || newest.ongoing > 0 || newest.arrivals > 0;
    if (!is_wanted) return {0, "no replica and no request"};
    if (there > 0) return {there, replicas_text(there) + " starting, and none is ready yet"};
    return {1, to_text(newest.ongoing) + " requests wait and there is no replica"};
  }
  AutoscaleDecision chosen{1, "no target"};
  if (options.target > 0) chosen = by_ongoing(options, samples, now_ms);
  if (options.p99_ms > 0) {
    AutoscaleDecision latency = by_latency(options, samples, now_ms);
    if (options.target <= 0 || latency.replicas > chosen.replicas) chosen = std::move(latency);
  }
  // The last one goes only when it is forgotten.
  chosen.replicas = std::max(chosen.replicas, 1U);
  return chosen;
}

}  // namespace

AutoscaleDecision autoscale(const AutoscaleOptions& options, const LoadHistory& history,
                            std::int64_t now_ms) {
  AutoscaleDecision chosen = choose(options, history.samples(), now_ms);
  const std::uint32_t within = std::clamp(chosen.replicas, options.min, std::max(options.min, options.max));
  if (within > chosen.replicas) chosen.reason += "; the minimum is " + std::to_string(options.min);
  if (within < chosen.replicas) chosen.reason += "; the maximum is " + std::to_string(options.max);
  chosen.replicas = within;
  return chosen;
}

}  // namespace ds::scheduler
