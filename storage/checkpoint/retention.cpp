#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "storage/checkpoint/checkpoint_store.hpp"

namespace ds::storage {

namespace {

/// Whether `entry` was evaluated. A metric that is not a number ranks nowhere: comparing it would order
/// nothing.
bool has_metric(const CheckpointEntry& entry, const std::string& metric) {
  const auto found = entry.metrics.find(metric);
  return found != entry.metrics.end() && !std::isnan(found->second);
}

}  // namespace

std::vector<std::uint64_t> choose_kept_steps(std::span<const CheckpointEntry> entries,
                                             const Retention& retention) {
  std::vector<CheckpointEntry> newest_first(entries.begin(), entries.end());
  std::sort(newest_first.begin(), newest_first.end(),
            [](const auto& left, const auto& right) { return left.step > right.step; });
  std::set<std::uint64_t> kept;
  const std::uint32_t least = retention.only_pinned ? 0 : 1;
  const std::size_t last = std::min<std::size_t>(std::max(retention.keep_last, least), newest_first.size());
  for (std::size_t i = 0; i < last; ++i) kept.insert(newest_first[i].step);

  std::vector<CheckpointEntry> best_first;
  std::copy_if(newest_first.begin(), newest_first.end(), std::back_inserter(best_first),
               [&](const auto& entry) { return has_metric(entry, retention.best_metric); });
  // Stable, so that of equal metrics the newer stays in front.
  std::stable_sort(best_first.begin(), best_first.end(), [&](const auto& left, const auto& right) {
    const double ours = left.metrics.at(retention.best_metric),
                 theirs = right.metrics.at(retention.best_metric);
    return retention.larger_is_better ? ours > theirs : ours < theirs;
  });
  const std::size_t best = std::min<std::size_t>(retention.keep_best, best_first.size());
  for (std::size_t i = 0; i < best; ++i) kept.insert(best_first[i].step);
  for (const CheckpointEntry& entry : newest_first) {
    if (std::ranges::find(retention.pinned, entry.step) != retention.pinned.end()) kept.insert(entry.step);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace ds::storage
