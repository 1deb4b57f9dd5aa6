#include "scheduler/ledger/decayed_use.hpp"

#include <cmath>

namespace ds::scheduler {

void DecayedUse::advance(std::int64_t now_ms) {
  if (now_ms <= at_ms) return;
  const double kept = std::exp2(-static_cast<double>(now_ms - at_ms) / static_cast<double>(kHalfLifeMs));
  slots = slots * kept + slots_now.number() * (1 - kept);
  memory_bytes = memory_bytes * kept + static_cast<double>(memory_now) * (1 - kept);
  gpus = gpus * kept + static_cast<double>(gpus_now) * (1 - kept);
  at_ms = now_ms;
}

}  // namespace ds::scheduler
