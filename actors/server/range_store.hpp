#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "actors/parameters/range_shard.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::server {

/// A server's place in a generation, as far as its memory is concerned.
struct StorePlan {
  std::uint64_t parameters = 0;  ///< elements over all ranges
  std::vector<parameters::RowTable> row_tables;
  bool fresh = false;      ///< ranges begin without a state
  std::uint64_t step = 0;  ///< sync: brought to it by `commit`
  std::optional<parameters::Commit> commit;
  struct Range {
    bool held = false;        ///< is to be held here
    bool replicated = false;  ///< as primary, with replicas
    bool copied = false;      ///< will be restored from another server
  };
  std::vector<Range> ranges;
};

/// The key ranges that one server process holds. No threads, no messages.
class RangeStore {
 public:
  explicit RangeStore(const scheduler::JobSpec& spec);

  /// How many it has a place for, whether or not their state is there yet.
  std::size_t size() const { return shards_.size(); }

  /// What there is, and the commit that its newest step was made with.
  std::vector<parameters::HeldRange> held() const;
  std::optional<parameters::Commit> last_commit() const;

  /// Gives up what it is not to hold, makes room for what it gets, and brings the rest to the plan's step.
  /// Fails when something that it should have is not there.
  Result<void> join(const StorePlan& plan);

  /// What was begun and waits for others of the generation is given up, its memory freed: parts of sums.
  void end_generation();

  /// Null when it is not held.
  parameters::RangeShard* find(std::uint32_t range);
  /// Gives up one, because it can't be trusted any more.
  void drop(std::uint32_t range) { shards_.erase(range); }

 private:
  Result<void> bring_to(std::uint32_t range, parameters::RangeShard& shard, const StorePlan& plan) const;

  scheduler::OptimizerSpec optimizer_;
  std::uint32_t logical_ranks_;
  std::uint32_t ranges_;
  bool sync_;
  std::map<std::uint32_t, parameters::RangeShard> shards_;
};

}  // namespace ds::server
