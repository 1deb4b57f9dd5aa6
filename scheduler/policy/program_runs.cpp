#include "scheduler/policy/program_runs.hpp"

#include <cmath>
#include <limits>

#include "scheduler/policy/growth.hpp"

namespace ds::scheduler {

void ProgramRuns::lose(std::int64_t at_ms, bool is_shrunk) {
  if (is_shrunk) {
    shrunk_lost_ms = std::max(shrunk_lost_ms, ran_ms(at_ms));
  } else if (!is_raised) {
    grown_lost_ms = std::max(grown_lost_ms, ran_ms(at_ms));
  }
  if (!is_shrunk) is_raised = false;
  end();
}

std::int64_t ProgramRuns::may_grow_ms() const {
  return since_ms == 0 ? 0
                       : since_ms + (is_raised ? kFirstRest_ms : std::max(kFirstRest_ms, 2 * grown_lost_ms));
}

std::int64_t ProgramRuns::may_shrink_ms() const {
  return since_ms == 0 ? 0 : since_ms + std::min(kLongestRest_ms, 2 * shrunk_lost_ms);
}

std::uint32_t ProgramRuns::next_size(std::uint32_t workers, std::int64_t now_ms, std::int64_t left_ms) const {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  if (workers == 0) return 0;
  const std::int64_t run_ms = ran_ms(now_ms);
  if (since_ms == 0 || now_ms < may_grow_ms() || (left_ms > 0 && left_ms < 2 * run_ms)) return kNone;
  if (is_raised) return workers + 1;
  const double run_s = static_cast<double>(run_ms) / 1000;
  const double least = workers * std::exp(run_s / std::max(run_s, kMovePaysWithinS));
  return std::max(workers + 1, static_cast<std::uint32_t>(std::min(std::ceil(least), double{kNone})));
}

}  // namespace ds::scheduler
