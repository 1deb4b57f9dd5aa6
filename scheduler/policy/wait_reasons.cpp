#include "scheduler/policy/wait_reasons.hpp"

#include <algorithm>

#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

std::string count_of(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

/// `4 workers of 1 slot and 2Gi each`
std::string wanted(const WaitFacts& facts) {
  std::string text = count_of(facts.needed, "worker") + " of " + count_of(facts.slots, "slot");
  if (facts.memory_bytes > 0) text += " and " + to_size_text(facts.memory_bytes);
  return text + (facts.needed == 1 ? "" : " each");
}

std::vector<std::string> first_of(std::span<const std::string> jobs) {
  return {jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(std::min(jobs.size(), kMaxBlockingJobs))};
}

Reason gang_partial(const WaitFacts& facts) {
  const std::uint32_t missing = facts.needed - facts.workers;
  return {"gang_partial",
          "has " + std::to_string(facts.workers) + " of the " + wanted(facts) + " that it needs, and " +
              std::to_string(facts.fitting_now) + " of the " + std::to_string(missing) + " missing fit now",
          first_of(facts.occupants)};
}

Reason backoff(const WaitFacts& facts) {
  return {"backoff_restart", "waits after a crash before it starts " + wanted(facts) + " again", {}};
}

Reason never_fits(const WaitFacts& facts) {
  return {"never_fits",
          "needs " + wanted(facts) + " at once, and " + count_of(facts.available_nodes, "available node") +
              " with " + count_of(facts.total_slots, "slot") + " have room for " +
              std::to_string(facts.fitting_ever) + " even when empty",
          {}};
}

Reason drained(const WaitFacts& facts) {
  return {"drain",
          "needs " + wanted(facts) + " at once; " + count_of(facts.unavailable_nodes, "node") +
              " down or draining leave room for " + std::to_string(facts.fitting_ever) +
              ", with all nodes for " + std::to_string(facts.fitting_undrained),
          {}};
}

Reason behind(const WaitFacts& facts) {
  const std::size_t earlier = facts.ahead.size() - facts.ahead_by_priority;
  std::string why = " submitted earlier";
  if (facts.ahead_by_priority > 0) why = " of higher priority" + (earlier > 0 ? " or" + why : "");
  return {
      "priority_behind",
      "needs " + wanted(facts) + ", and " + count_of(facts.ahead.size(), "job") + why + " must start first",
      first_of(facts.ahead)};
}

Reason no_capacity(const WaitFacts& facts) {
  std::string text = "needs " + wanted(facts) + " at once, and " + std::to_string(facts.fitting_now) +
                     (facts.fitting_now == 1 ? " fits now: " : " fit now: ") +
                     std::to_string(facts.free_slots) + " of " + count_of(facts.total_slots, "slot") +
                     (facts.free_slots == 1 ? " is free" : " are free");
  if (facts.room_is_coming) {
    text += "; it starts when " + count_of(facts.releasing, "worker") +
            (facts.releasing == 1 ? " that is stopping is gone" : " that are stopping are gone");
  } else if (facts.too_young > 0) {
    text += "; " + count_of(facts.too_young, "job") + " of lower priority may be preempted " +
            std::to_string(kMinimumRun.count()) + " s after the start";
  }
  return {"no_capacity_now", std::move(text), first_of(facts.occupants)};
}

Reason memory(const WaitFacts& facts, std::uint64_t fitting, std::uint64_t fitting_by_slots) {
  return {"memory",
          "each worker needs " + to_size_text(facts.memory_bytes) + " of memory, which leaves room for " +
              std::to_string(fitting) + " where there are slots for " + std::to_string(fitting_by_slots),
          {}};
}

}  // namespace

std::vector<Reason> explain_wait(const WaitFacts& facts) {
  std::vector<Reason> reasons;
  if (facts.workers > 0) reasons.push_back(gang_partial(facts));
  if (facts.held) {
    reasons.push_back(backoff(facts));
  } else if (facts.fitting_ever < facts.needed) {
    reasons.push_back(facts.fitting_undrained >= facts.needed ? drained(facts) : never_fits(facts));
    if (facts.fitting_ever_by_slots >= facts.needed) {
      reasons.push_back(memory(facts, facts.fitting_ever, facts.fitting_ever_by_slots));
    }
  } else {
    const std::uint32_t missing = facts.needed - facts.workers;
    if (!facts.ahead.empty()) reasons.push_back(behind(facts));
    if (facts.workers == 0 && facts.fitting_now < missing) reasons.push_back(no_capacity(facts));
    if (facts.fitting_now < missing && facts.fitting_now_by_slots >= missing) {
      reasons.push_back(memory(facts, facts.fitting_now, facts.fitting_now_by_slots));
    }
  }
  return reasons;
}

}  // namespace ds::scheduler
