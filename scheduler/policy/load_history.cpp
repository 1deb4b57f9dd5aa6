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
    if (i + 1 < samples_.size() / 2) {
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
}

}  // namespace ds::scheduler
