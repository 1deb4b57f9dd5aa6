#include "scheduler/policy/elastic/speed_curve.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "scheduler/policy/elastic/speed_fit.hpp"

namespace ds::scheduler {
namespace {

std::uint32_t divide_up(std::uint32_t all, std::uint32_t by) {
  return (all + by - 1) / by;
}

/// On how many nodes so many workers would be, if they were packed as those that were measured.
std::uint32_t guess_nodes(std::span<const SizeMeasured> measured, std::uint32_t workers) {
  std::uint32_t on_one = 1;
  for (const SizeMeasured& size : measured) on_one = std::max(on_one, divide_up(size.workers, size.nodes));
  return divide_up(workers, on_one);
}

/// Of sizes that a job has run with, and of resizes; the last ones.
constexpr std::size_t kMaxSizesMeasured = 32, kMaxResizesMeasured = 8;

}  // namespace

SizeMeasured SizeMeasured::with(std::uint32_t other_batches) const {
  if (other_batches == batches) return *this;
  SizeMeasured other = *this;
  other.batches = other_batches;
  other.compute_s = compute_s * other_batches / batches;
  other.step_s = other.compute_s + (step_s - compute_s);
  return other;
}

const SizeMeasured* find_measured(std::span<const SizeMeasured> measured, std::uint32_t workers) {
  const auto found = std::find_if(measured.rbegin(), measured.rend(),
                                  [&](const SizeMeasured& size) { return size.workers == workers; });
  return found == measured.rend() ? nullptr : &*found;
}

void keep_measured(std::vector<SizeMeasured>& measured, const SizeMeasured& size) {
  const auto before = std::ranges::find_if(measured, [&](const SizeMeasured& known) {
    return known.workers == size.workers && known.nodes == size.nodes;
  });
  if (before != measured.end()) {
    const double slower = size.step_s / before->with(size.batches).step_s;
    for (auto older = measured.begin(); older != before; ++older) {
      older->step_s *= slower;
      older->compute_s *= slower;
    }
    // These are as good as from now, so nothing that was measured since changes them again.
    const auto since = measured.erase(before);
    std::rotate(measured.begin(), since, measured.end());
  }
  if (measured.size() == kMaxSizesMeasured) measured.erase(measured.begin());
  measured.push_back(size);
}

void keep_resize(std::vector<double>& resizes_s, double resize_s) {
  if (resize_s <= 0) return;
  if (resizes_s.size() == kMaxResizesMeasured) resizes_s.erase(resizes_s.begin());
  resizes_s.push_back(resize_s);
}

double median_of(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::shared_ptr<const SpeedCurve> make_curve(std::span<const SizeMeasured> measured,
                                             std::span<const double> resizes_s, const WorkerCount& workers,
                                             std::uint32_t logical_ranks, std::uint32_t batches) {
  std::vector<StepMeasured> steps;
  std::set<std::uint32_t> shares;
  for (const SizeMeasured& at_its_batch : measured) {
    const SizeMeasured size = at_its_batch.with(1);
    const std::uint32_t share = divide_up(logical_ranks, size.workers);
    shares.insert(share);
    steps.push_back({size.nodes, size.workers, static_cast<double>(share), size.step_s, size.compute_s});
  }
  if (shares.size() < 2) return nullptr;
  const SpeedModel model = fit_speed(steps, std::nullopt);
  SpeedCurve curve;
  curve.first = std::max(1U, workers.min);
  curve.resize_s = median_of(resizes_s);
  const std::uint32_t last = std::min(workers.max, logical_ranks);
  for (std::uint32_t n = curve.first; n <= last && curve.log_speeds.size() < kMaxCurveSizes; ++n) {
    const SizeMeasured* known = find_measured(measured, n);
    const double share = divide_up(logical_ranks, n);
    const double step_s = known != nullptr ? known->with(batches).step_s
                                           : model.step_s(guess_nodes(measured, n), n, share) +
                                                 (batches - 1) * model.compute_s(share);
    curve.log_speeds.push_back(-std::log(step_s));
  }
  if (curve.log_speeds.empty()) return nullptr;
  const double base = curve.log_speeds.front();
  for (double& speed : curve.log_speeds) speed -= base;
  return std::make_shared<const SpeedCurve>(std::move(curve));
}

}  // namespace ds::scheduler
