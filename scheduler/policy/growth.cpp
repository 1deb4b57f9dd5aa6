#include "scheduler/policy/growth.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {
namespace {

/// A job grows by so many workers at once at most: in sizes beyond that no gain is looked for.
constexpr std::uint32_t kMaxStride = 64;

double slots_of(const Demand& demand) {
  return demand.slots > 0 ? demand.slots.number() : 1;
}

/// How many slot-seconds the first change of weight takes a third of.
constexpr double kFirstLevelSlotS = 300;

double level_of(double slot_s) {
  return std::floor(std::log1p(std::max(slot_s, 0.0) / kFirstLevelSlotS) / std::log(4.0) + 1e-9);
}

/// Looked up where possible: a plan asks for each worker that it places.
double log_of(std::uint32_t count) {
  static const auto kLogs = [] {
    std::array<double, 1026> logs{};
    for (std::size_t n = 1; n < logs.size(); ++n) logs[n] = std::log(static_cast<double>(n));
    return logs;
  }();
  return count > 0 && count < kLogs.size() ? kLogs[count]
                                           : std::log(static_cast<double>(std::max(1U, count)));
}

/// Whether time is saved until the job's end, the resize taken off.
bool saves_time(const Demand& demand, double gain) {
  if (!demand.curve || demand.left_s <= 0) return true;
  return demand.left_s * (1 - std::exp(-gain)) > demand.curve->resize_s;
}

}  // namespace

double log_speed(const Demand& demand, std::uint32_t workers) {
  if (!demand.curve || demand.curve->log_speeds.empty()) return log_of(workers);
  const auto& speeds = demand.curve->log_speeds;
  const std::size_t index = workers > demand.curve->first ? workers - demand.curve->first : 0;
  return speeds[std::min(index, speeds.size() - 1)];
}

GrowthStep next_growth(const Demand& demand, std::uint32_t workers, std::uint32_t most) {
  if (workers == 0 || workers >= demand.workers.max || most == 0) return {};
  const std::uint32_t largest = std::min(demand.workers.max, workers + std::min(most, kMaxStride));
  if (!demand.curve) {
    const std::uint32_t next = std::max(workers + 1, demand.grows_to);
    if (next > demand.workers.max || next - workers > most) return {};
    const double gain = (log_of(next) - log_of(workers)) / ((next - workers) * slots_of(demand));
    return {next - workers, gain * demand.weight};
  }
  const auto known = demand.curve->first + static_cast<std::uint32_t>(demand.curve->log_speeds.size());
  const double now = log_speed(demand, workers);
  GrowthStep best;
  for (std::uint32_t next = workers + 1; next <= largest && next < known; ++next) {
    const double gain = log_speed(demand, next) - now;
    const double perfect = log_of(next) - log_of(workers);
    if (gain < kLeastEfficiency * perfect || !saves_time(demand, gain)) continue;
    const double by_slot = gain * demand.weight / ((next - workers) * slots_of(demand));
    if (by_slot > best.gain) best = {next - workers, by_slot};
  }
  return best;
}

double loss_of_one(const Demand& demand, std::uint32_t workers) {
  return demand.weight * (log_speed(demand, workers) - log_speed(demand, workers - 1)) / slots_of(demand);
}

std::uint32_t count_slowing(const Demand& demand, std::uint32_t workers, std::uint32_t can_go) {
  if (!demand.curve || !demand.is_settled) return 0;
  const double now = log_speed(demand, workers);
  std::uint32_t best = workers;
  const std::uint32_t least = workers - std::min(workers, can_go);
  for (std::uint32_t fewer = std::max({1U, demand.workers.min, least}); fewer < workers; ++fewer) {
    if (log_speed(demand, fewer) > log_speed(demand, best)) best = fewer;
  }
  const double gain = log_speed(demand, best) - now;
  return gain >= kLeastMoveGain && pays(gain, resize_cost_s(demand), pays_within_s(demand)) ? workers - best
                                                                                            : 0;
}

double weight_by_attained(double slot_s) {
  return std::exp2(-level_of(slot_s));
}

double next_lower_weight_slot_s(double slot_s) {
  return kFirstLevelSlotS * (std::exp2(2 * (level_of(slot_s) + 1)) - 1);
}

bool pays(double gain, double resizes_s, double within_s) {
  return gain * within_s >= resizes_s;
}

double resize_cost_s(const Demand& demand) {
  return demand.curve && demand.curve->resize_s > 0 ? demand.curve->resize_s : kUnmeasuredResizeS;
}

double pays_within_s(const Demand& demand) {
  return demand.left_s > 0 ? std::min(demand.left_s, kMovePaysWithinS) : kMovePaysWithinS;
}

}  // namespace ds::scheduler
