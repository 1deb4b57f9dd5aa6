#include "actors/server/range_store.hpp"

#include <fmt/format.h>

#include "actors/parameters/sparse_rows.hpp"

namespace ds::server {

using parameters::HeldRange;
using parameters::RangeShard;

RangeStore::RangeStore(const scheduler::JobSpec& spec)
    : optimizer_(spec.optimizer),
      logical_ranks_(spec.logical_ranks()),
      ranges_(spec.strategy.servers),
      sync_(spec.strategy.consistency == "sync") {}

std::vector<HeldRange> RangeStore::held() const {
  std::vector<HeldRange> held;
  for (const auto& [range, shard] : shards_) {
    if (shard.has_state()) held.push_back({range, shard.applied(), shard.prepared()});
  }
  return held;
}

std::optional<parameters::Commit> RangeStore::last_commit() const {
  std::optional<parameters::Commit> newest;
  for (const auto& [range, shard] : shards_) {
    const auto& one = shard.last_commit();
    if (one && (!newest || one->step > newest->step)) newest = one;
  }
  return newest;
}

void RangeStore::end_generation() {
  for (auto& [range, shard] : shards_) shard.end_generation();
}

RangeShard* RangeStore::find(std::uint32_t range) {
  const auto found = shards_.find(range);
  return found == shards_.end() ? nullptr : &found->second;
}

Result<void> RangeStore::join(const StorePlan& plan) {
  if (plan.ranges.size() != ranges_)
    return fail(ErrorCode::internal,
                fmt::format("the job has {} key ranges, the generation {}", ranges_, plan.ranges.size()));
  const auto cut = parameters::cut_into_ranges(plan.parameters, ranges_);
  for (std::uint32_t range = 0; range < ranges_; ++range) {
    const StorePlan::Range& place = plan.ranges[range];
    const bool anew = plan.fresh || place.copied;
    if (!place.held || anew) shards_.erase(range);
    if (!place.held) continue;
    if (anew) {
      shards_.try_emplace(
          range, parameters::ShardOptions{cut[range], logical_ranks_, sync_, place.replicated, optimizer_,
                                          parameters::tables_in(cut[range], plan.row_tables)});
      continue;
    }
    RangeShard* const shard = find(range);
    if (shard == nullptr || !shard->has_state())
      return fail(ErrorCode::internal, fmt::format("key range {} should be here and is not", range));
    if (const auto there = bring_to(range, *shard, plan); !there) return there;
    shard->begin_generation(place.replicated);
  }
  return {};
}

Result<void> RangeStore::bring_to(std::uint32_t range, RangeShard& shard, const StorePlan& plan) const {
  if (!sync_ || shard.applied() == plan.step) return {};
  if (shard.prepared() != plan.step || !plan.commit || plan.commit->step_after() != plan.step) {
    return fail(ErrorCode::internal, fmt::format("key range {} is at step {} and can't be brought to step {}",
                                                 range, shard.applied(), plan.step));
  }
  return shard.roll_forward(*plan.commit);
}

}  // namespace ds::server
