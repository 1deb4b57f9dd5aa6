#include "scheduler/policy/elastic/goodput.hpp"

#include <algorithm>
#include <cmath>

namespace ds::scheduler {
namespace {

/// What a quotient may be above a whole number without being rounded up.
constexpr double kSlack = 1e-8;

}  // namespace

double SpeedModel::network_s(std::uint32_t nodes, std::uint32_t slots) const {
  if (slots < 2) return 0;
  const double more = slots - 2;
  return nodes > 1 ? network_base + network_slot * more : local_base + local_slot * more;
}

double SpeedModel::step_s(std::uint32_t nodes, std::uint32_t slots, double batch) const {
  const double compute = compute_s(batch);
  const double network = network_s(nodes, slots);
  if (network <= 0) return compute;
  const double larger = std::max(compute, network);
  const double ratio = std::min(compute, network) / larger;
  return larger * std::pow(1 + std::pow(ratio, overlap), 1 / overlap);
}

BatchChoice divide_batch(double total, std::uint32_t slots, const BatchLimits& limits) {
  const double each = std::ceil(total / slots - kSlack);
  double passes = std::max(1.0, std::ceil(each / limits.max_per_slot - kSlack));
  if (slots == 1 && total > limits.base) passes = std::max(passes, 2.0);
  const double most = std::floor(limits.max / (slots * passes));
  const double per_slot = std::min(std::ceil(each / passes - kSlack), most);
  return {std::max(per_slot, 1.0), static_cast<std::uint32_t>(passes) - 1};
}

double Goodput::at(std::uint32_t nodes, std::uint32_t slots, const BatchChoice& choice) const {
  const double update_s =
      speed.step_s(nodes, slots, choice.per_slot) + choice.accumulation * speed.compute_s(choice.per_slot);
  return noise.gain(choice.total(slots) / limits.base) / update_s;
}

BatchChoice Goodput::best_batch(std::uint32_t nodes, std::uint32_t slots) const {
  const double least = std::max(limits.base, limits.min_per_slot * slots);
  BatchChoice best = divide_batch(std::min(least, limits.max), slots, limits);
  double most = at(nodes, slots, best);
  if (least >= limits.max) return best;
  const double ratio = std::pow(limits.max / least, 1.0 / (kBatchSizes - 1));
  double total = least;
  for (int i = 1; i < kBatchSizes; ++i) {
    total = i + 1 == kBatchSizes ? limits.max : total * ratio;
    const BatchChoice choice = divide_batch(total, slots, limits);
    const double goodput = at(nodes, slots, choice);
    if (goodput <= most) continue;
    most = goodput;
    best = choice;
  }
  return best;
}

}  // namespace ds::scheduler
