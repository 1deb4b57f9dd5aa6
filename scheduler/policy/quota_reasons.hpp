#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "scheduler/policy/wait_reasons.hpp"

namespace ds::scheduler {

// What `wait_reasons.cpp` and `quota_reasons.cpp` have in common, and the reasons that are quotas. Pure.

std::string count_of(std::uint64_t count, const std::string& noun);
/// `2 H200 GPUs`
std::string gpus_of(std::uint64_t count, const std::string& kind);
/// `4 workers of 1 slot, 2 H200 GPUs and 2Gi each`
std::string wanted(const WaitFacts& facts);
/// Names the jobs, of which there are `count`, as far as they may be named.
void name_blocking(Reason& reason, std::span<const std::string> jobs, std::size_t count);

bool is_of_all(const QuotaFacts& quota);
/// Whether it is not what others keep that is in the way: all that there is is used. There is a quota.
bool are_slots_used_up(const WaitFacts& facts);
Reason quota(const WaitFacts& facts);
/// Of a tenant or queue that is not known any more.
Reason no_tenant(const WaitFacts& facts);
/// Quotas say so, whatever becomes of others' jobs and of nodes.
Reason never_allowed(const WaitFacts& facts);

}  // namespace ds::scheduler
