// What a queue may not have, as a reason to wait.
#include "scheduler/policy/quota_reasons.hpp"

#include <algorithm>
#include <utility>

#include "scheduler/spec/gpu_kind_name.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

bool is_unlent(const QuotaFacts& quota) {
  return !quota.is_fixed && is_of_all(quota);
}

/// What the job can't have because nobody could have it back.
std::string fixed_text(const QuotaFacts& quota, SlotCount total_slots) {
  std::string text = "is not preemptible: ";
  const std::uint64_t most = quota.most.value_or(0);
  const std::string most_text = quota.is_of_gpus ? gpus_of(most, {}) : slots_text(most);
  if (is_of_all(quota)) {
    text += "of " + (quota.is_of_gpus ? most_text : slots_text(total_slots)) + " " +
            std::to_string(quota.guaranteed) + " are guaranteed to tenants, who could not have theirs back";
  } else {
    text += "of the " + most_text + " that " + quota.queue + " may have " + std::to_string(quota.guaranteed) +
            " are guaranteed to its queues, which could not have theirs back";
  }
  if (quota.is_for_ever) return text;
  text += "; such jobs have " + number_text(quota.used);
  if (quota.claimed > 0)
    text += ", and " + number_text(quota.claimed) + " are kept for those that come first";
  return text;
}

}  // namespace

std::string count_of(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string gpus_of(std::uint64_t count, const std::string& kind) {
  return count_of(count, kind.empty() ? "GPU" : gpu_kinds_text(kind) + " GPU");
}

std::string wanted(const WaitFacts& facts) {
  std::string text = count_of(facts.needed, "worker") + " of " + slots_text(facts.slots);
  if (facts.gpus > 0) text += (facts.memory_bytes > 0 ? ", " : " and ") + gpus_of(facts.gpus, facts.gpu_kind);
  if (facts.memory_bytes > 0) text += " and " + to_size_text(facts.memory_bytes);
  return text + (facts.needed == 1 ? "" : " each") + (facts.is_together ? " on one node" : "");
}

void name_blocking(Reason& reason, std::span<const std::string> jobs, std::size_t count) {
  for (const std::string& job : jobs) {
    const bool is_new = std::ranges::find(reason.blocking, job) == reason.blocking.end();
    if (is_new && reason.blocking.size() < kMaxBlockingJobs) reason.blocking.push_back(job);
  }
  reason.unnamed = std::max(count, reason.blocking.size()) - reason.blocking.size();
}

bool is_of_all(const QuotaFacts& quota) {
  return quota.queue == TenantTree{}.full_name(TenantTree::kRoot);
}

bool are_slots_used_up(const WaitFacts& facts) {
  const QuotaFacts& quota = *facts.quota;
  return is_unlent(quota) && !quota.is_for_ever && quota.wanted > facts.free_slots &&
         quota.used + quota.wanted > facts.total_slots;
}

Reason quota(const WaitFacts& facts) {
  const QuotaFacts& quota = *facts.quota;
  std::string text = "needs " +
                     (quota.gpu_limit || quota.is_of_gpus ? gpus_of(quota.wanted.rounded_down(), {})
                                                          : slots_text(quota.wanted)) +
                     ", and ";
  const std::string now = quota.is_for_ever ? "can never have more" : "has " + number_text(quota.used);
  if (quota.is_fixed) {
    text += fixed_text(quota, facts.total_slots);
  } else if (quota.gpu_limit) {
    text += quota.queue + " may have " + count_of(*quota.gpu_limit, "GPU") + " and " + now;
  } else if (is_unlent(quota) && quota.is_for_ever) {
    text += "of " + slots_text(facts.total_slots) +
            " so many are kept for tenants that do not lend them that it can ";
    text += facts.unavailable_nodes == 0
                ? "never have these"
                : "not have these while " + count_of(facts.unavailable_nodes, "node") +
                      (facts.unavailable_nodes == 1 ? " is" : " are") + " down or draining";
  } else if (is_unlent(quota)) {
    text += "of " + slots_text(facts.total_slots) + " " + number_text(quota.used) + " are used" +
            (are_slots_used_up(facts) ? "" : " and others are kept for tenants that do not lend them");
  } else {
    text += quota.queue + " may have " +
            std::to_string(quota.guaranteed + quota.borrowing_limit.value_or(0)) + " (" +
            std::to_string(quota.guaranteed) + " guaranteed, " +
            std::to_string(quota.borrowing_limit.value_or(0)) + " borrowed) and " + now;
  }
  for (const std::string& other : quota.others) {
    const bool is_root = other == TenantTree{}.full_name(TenantTree::kRoot);
    if (is_root && quota.wanted > facts.free_slots) continue;  // so many are not even free
    text += is_root ? "; nor do others lend so many" : "; nor may " + other + " have so many";
  }
  Reason reason{"quota_tenant", std::move(text), {}};
  name_blocking(reason, quota.users, quota.users.size() + (quota.has_more_users ? 1 : 0));
  if (reason.unnamed > 0)
    reason.text += "; the first " + std::to_string(quota.users.size()) +
                   " jobs that use it are named, and it is enough when any give back what is too much";
  return reason;
}

Reason no_tenant(const WaitFacts& facts) {
  return {"quota_tenant",
          "needs " + wanted(facts) + ", and its tenant " + facts.unknown_tenant +
              " has 0: the head's tenants don't name it, or its queue, any more",
          {}};
}

Reason never_allowed(const WaitFacts& facts) {
  std::string text = "never starts " + wanted(facts) + " with what tenants may use now, whoever ends: ";
  if (!facts.unknown_tenant.empty()) {
    text += "an operator may name its tenant and queue again";
  } else {
    if (facts.quota->is_fixed) text += "its owner may make it preemptible, or ";
    if (facts.needed > 1) text += "its owner may want fewer workers, or ";
    text += facts.quota->is_fixed     ? "an operator may guarantee its queue more, or others less"
            : is_unlent(*facts.quota) ? "an operator may lend it more, or add nodes"
                                      : "an operator may allow its queue more";
  }
  return {"never_fits", std::move(text), {}};
}

}  // namespace ds::scheduler
