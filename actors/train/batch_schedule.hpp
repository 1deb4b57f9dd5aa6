#pragma once

#include <cstdint>

#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// Positions [first, last) of an epoch's sample order.
struct Positions {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t size() const { return last - first; }
  bool operator==(const Positions&) const = default;
};

/// Part `part` of `parts` nearly equal, contiguous parts: from size*part/parts to size*(part+1)/parts. Pure.
Positions part_of(Positions whole, std::uint64_t part, std::uint64_t parts);

/// The logical ranks that have samples of a batch.
struct ActiveRanks {
  std::uint32_t count = 0;
  std::uint32_t first = 0;  ///< `ranks` where none has
  bool operator==(const ActiveRanks&) const = default;
};
/// When `batch` is shared among `ranks`. Pure.
ActiveRanks active_ranks(Positions batch, std::uint32_t ranks);

/// Which samples a step consumes, known from its number alone. Each epoch goes through all samples once; its
/// last batch is smaller when the batch size does not divide them. Pure.
class BatchSchedule {
 public:
  struct Batch {
    std::uint64_t epoch = 0;
    Positions positions;
    std::uint32_t batches = 1;  ///< in a row, that it is made of
    bool operator==(const Batch&) const = default;
  };

  /// `samples` and `global` are at least 1.
  BatchSchedule(std::uint64_t samples, std::uint32_t global) : samples_(samples), global_(global) {}

  std::uint64_t steps_per_epoch() const { return (samples_ + global_ - 1) / global_; }
  std::uint64_t total_steps(const scheduler::Until& until) const;

  /// The batch of the step after `committed` steps; or so many of its epoch, at least 1, as one.
  Batch batch_after(std::uint64_t committed, std::uint32_t batches = 1) const;

 private:
  std::uint64_t samples_;
  std::uint64_t global_;
};

}  // namespace ds::train
