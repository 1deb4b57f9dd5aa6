#include "scheduler/policy/spare_starts.hpp"

#include <algorithm>

namespace ds::scheduler {

std::int64_t SpareStarts::on_ended(bool was_ready, bool by_outside, std::int64_t now_ms) {
  if (was_ready) {
    *this = {};
    return 0;
  }
  if (by_outside && free_used_ < kFree) {
    ++free_used_;
    return 0;
  }
  const std::int64_t wait_ms = std::min(kLongestWaitMs, kFirstWaitMs << std::min(waits_, 10U));
  ++waits_;
  not_before_ms_ = now_ms + wait_ms;
  return wait_ms;
}

}  // namespace ds::scheduler
