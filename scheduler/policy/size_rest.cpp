#include "scheduler/policy/size_rest.hpp"

#include <algorithm>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

void SizeRest::on_changed(std::uint32_t from, std::uint32_t to, std::int64_t now_ms) {
  const bool grows = to > from;
  if (now_ms - until_ms_ > kLongest_ms) reversals_ = 0;
  if (grows == has_grown_ || (grows && to <= size_)) return;  // what others took it has again
  has_grown_ = grows;
  size_ = to;
  until_ms_ = now_ms + std::min(kLongest_ms, kFirst_ms << std::min(reversals_, 16U));
  ++reversals_;
}

WorkerCount SizeRest::allowed(WorkerCount wanted, std::uint32_t workers, std::int64_t now_ms) const {
  if (is_resting(now_ms)) wanted.max = std::clamp(std::max(size_, workers), wanted.min, wanted.max);
  return wanted;
}

void SizeRest::limit(Demand& demand, std::uint32_t workers, std::int64_t now_ms) const {
  if (is_resting(now_ms)) demand.is_settled = false;
  demand.workers = allowed(demand.workers, workers, now_ms);
}

}  // namespace ds::scheduler
