#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "actors/collective/rank_range.hpp"
#include "actors/data/dataset.hpp"
#include "actors/data/sample_order.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/batch_source.hpp"
#include "actors/train/boundaries.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// Makes any micro-batch of a job, from its number alone: equal bits in every process that reads the same
/// data. Needs no model. Immutable; any thread.
class BatchMaker {
 public:
  /// Both must outlive it.
  BatchMaker(const scheduler::JobSpec& spec, const data::Dataset& training);

  const BatchSchedule& schedule() const { return schedule_; }
  const data::Dataset& dataset() const { return training_; }
  std::uint32_t logical_ranks() const { return spec_.logical_ranks(); }
  std::uint64_t total_steps() const { return schedule_.total_steps(spec_.until); }
  const Boundaries& boundaries() const { return boundaries_; }
  /// The committed steps before the batch that it is a part of.
  std::uint64_t batch_of(const MicroBatch& which) const {
    return which.step + which.micro / spec_.batch.accumulate;
  }

  /// Positions of the epoch's sample order; none for a share that is smaller than its micro-batches are many.
  Positions positions_of(const MicroBatch& which) const;
  /// Of steps that take up to `batches` batches each, see `Boundaries::count_batches`: what a worker that
  /// hosts these ranks needs next; none after the last step. Leaves out empty ones.
  std::optional<MicroBatch> after(const MicroBatch& one, collective::RankRange hosted,
                                  std::uint32_t batches = 1) const;
  /// What a worker that hosts these ranks (one at least) needs first at a step.
  std::optional<MicroBatch> first_at(std::uint64_t step, collective::RankRange hosted,
                                     std::uint32_t batches = 1) const;
  /// The numbers of its samples, in order.
  std::vector<std::uint64_t> samples_of(const MicroBatch& which) const;
  /// Of the batch's tensors, when no record is left out.
  std::uint64_t bytes_of(const MicroBatch& which) const;
  /// Whether a job has it at all: numbers that came from elsewhere may be anything.
  bool has(const MicroBatch& which) const;

  /// Errors as `data::Dataset::make_batch`; `resource_exhausted` when there is no memory.
  Result<data::Batch> make(const MicroBatch& which) const;

 private:
  Result<data::Batch> make_unguarded(const MicroBatch& which) const;

  const scheduler::JobSpec& spec_;
  const data::Dataset& training_;
  const BatchSchedule schedule_;
  const Boundaries boundaries_;
  const data::SampleOrder order_;
  std::uint64_t row_bytes_ = 0;
};

}  // namespace ds::train
