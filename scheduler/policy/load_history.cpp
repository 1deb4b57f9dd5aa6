#include "scheduler/policy/load_history.hpp"

#include <algorithm>

namespace ds::scheduler {

void LoadHistory::add(const LoadSample& sample) {
  if (!samples_.empty() && sample.at_ms < samples_.back().at_ms) return;
  samples_.push_back(sample);
  if (samples_.size() <= kMostSamples) return;
  std::deque<LoadSample> kept;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    LoadSample next = samples_[i];
    if (i + 1 < samples_.size() / 2 && samples_[i + 1].ready == next.ready) {
      const LoadSample& merged = samples_[i++];
      next = samples_[i];
      next.ongoing = std::max(next.ongoing, merged.ongoing);
      next.p99_ms = std::max(next.p99_ms, merged.p99_ms);
      next.arrivals += merged.arrivals;
      next.answered += merged.answered;
    }
    kept.push_back(next);
  }
  samples_ = std::move(kept);
  while (samples_.size() > kMostSamples) samples_.pop_front();
}

std::size_t LoadHistory::first_after(std::int64_t at_ms) const {
  const auto found = std::ranges::upper_bound(samples_, at_ms, {}, &LoadSample::at_ms);
  return std::min(static_cast<std::size_t>(found - samples_.begin()), samples_.size() - 1);
}

double LoadHistory::lasted_ms(std::size_t sample) const {
  return sample == 0 ? 0 : static_cast<double>(samples_[sample].at_ms - samples_[sample - 1].at_ms);
}

double LoadHistory::mean_ongoing(std::int64_t now_ms, std::int64_t window_ms) const {
  const std::size_t first = first_after(now_ms - window_ms);
  double sum = 0;
  for (std::size_t i = first; i < samples_.size(); ++i) sum += samples_[i].ongoing;
  return sum / static_cast<double>(samples_.size() - first);
}

double LoadHistory::largest_mean_ongoing(std::int64_t now_ms, std::int64_t window_ms,
                                         std::int64_t within_ms) const {
  double largest = 0, sum = 0;
  std::size_t first = first_after(now_ms - within_ms - window_ms);
  for (std::size_t last = first; last < samples_.size(); ++last) {
    sum += samples_[last].ongoing;
    while (first < last && samples_[first].at_ms <= samples_[last].at_ms - window_ms)
      sum -= samples_[first++].ongoing;
    if (samples_[last].at_ms > now_ms - within_ms || last + 1 == samples_.size())
      largest = std::max(largest, sum / static_cast<double>(last - first + 1));
  }
  return largest;
}

double LoadHistory::arrival_rate(std::int64_t now_ms, std::int64_t window_ms) const {
  double arrivals = 0, ms = 0;
  for (std::size_t i = first_after(now_ms - window_ms); i < samples_.size(); ++i) {
    arrivals += static_cast<double>(samples_[i].arrivals);
    ms += lasted_ms(i);
  }
  return ms <= 0 ? 0 : arrivals * 1'000 / ms;
}

double LoadHistory::fastest_answers(std::int64_t now_ms, std::int64_t window_ms,
                                    std::int64_t within_ms) const {
  // Those that were ready all the time: one that has just come has answered next to nothing.
  const auto served_by = [this](std::size_t i) { return std::min(samples_[i - 1].ready, samples_[i].ready); };
  double fastest = 0, answered = 0, replica_ms = 0;
  std::size_t first = std::max<std::size_t>(1, first_after(now_ms - within_ms - window_ms));
  for (std::size_t last = first; last < samples_.size(); ++last) {
    answered += static_cast<double>(samples_[last].answered);
    replica_ms += lasted_ms(last) * served_by(last);
    for (; first < last && samples_[first].at_ms <= samples_[last].at_ms - window_ms; ++first) {
      answered -= static_cast<double>(samples_[first].answered);
      replica_ms -= lasted_ms(first) * served_by(first);
    }
    if (samples_[last].at_ms > now_ms - within_ms && replica_ms > 0)
      fastest = std::max(fastest, answered / replica_ms);
  }
  return fastest * 1'000;
}

bool LoadHistory::covers(std::int64_t now_ms, std::int64_t window_ms) const {
  return samples_.front().at_ms <= now_ms - window_ms;
}

bool LoadHistory::is_idle(std::int64_t now_ms, std::int64_t window_ms) const {
  if (!covers(now_ms, window_ms)) return false;
  for (std::size_t i = first_after(now_ms - window_ms); i < samples_.size(); ++i) {
    if (samples_[i].ongoing > 0 || samples_[i].arrivals > 0) return false;
  }
  return true;
}

double LoadHistory::most_ongoing_within(double p99_ms) const {
  double most = 0;
  for (const LoadSample& sample : samples_) {
    if (sample.p99_ms > 0 && sample.p99_ms <= p99_ms && sample.ready > 0)
      most = std::max(most, sample.ongoing / sample.ready);
  }
  return most;
}

double LoadHistory::rate_that_missed(double p99_ms, std::uint32_t ready, std::int64_t now_ms) const {
  double arrivals = 0, ms = 0;
  bool came_down = false;
  for (std::size_t i = std::max<std::size_t>(1, first_after(now_ms - kRememberedMs)); i < samples_.size();
       ++i) {
    if (samples_[i].ready != samples_[i - 1].ready) came_down = samples_[i].ready < samples_[i - 1].ready;
    if (!came_down || samples_[i].ready != ready || samples_[i].p99_ms <= p99_ms) continue;
    arrivals += static_cast<double>(samples_[i].arrivals);
    ms += lasted_ms(i);
  }
  return ms <= 0 ? 0 : arrivals * 1'000 / ms;
}

}  // namespace ds::scheduler
