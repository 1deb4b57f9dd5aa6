#include "actors/train/batch_maker.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <vector>

namespace ds::train {

BatchMaker::BatchMaker(const scheduler::JobSpec& spec, const data::Dataset& training)
    : spec_(spec),
      training_(training),
      schedule_(training.size(), spec.batch.global),
      boundaries_(spec, schedule_.steps_per_epoch(), schedule_.total_steps(spec.until),
                  spec.data.validate.has_value()),
      order_(training.size(), spec.seed, spec.data.shuffle) {
  for (const data::FieldShape& field : training.fields()) {
    std::uint64_t bytes = data::bytes_of(field.element);
    for (const std::int64_t extent : field.shape) bytes *= static_cast<std::uint64_t>(extent);
    row_bytes_ += bytes;
  }
}

Positions BatchMaker::positions_of(const MicroBatch& which) const {
  const BatchSchedule::Batch batch = schedule_.batch_after(batch_of(which));
  const Positions share = part_of(batch.positions, which.logical_rank, spec_.logical_ranks());
  return part_of(share, which.micro % spec_.batch.accumulate, spec_.batch.accumulate);
}

std::optional<MicroBatch> BatchMaker::after(const MicroBatch& one, collective::RankRange hosted,
                                            std::uint32_t batches) const {
  MicroBatch next = one;
  std::uint32_t taken = boundaries_.count_batches(next.step, batches);
  do {
    if (++next.micro == taken * spec_.batch.accumulate) {
      next.micro = 0;
      if (++next.logical_rank == hosted.last) {
        next.logical_rank = hosted.first;
        next.step += taken;
        if (next.step >= total_steps()) return {};
        taken = boundaries_.count_batches(next.step, batches);
      }
    }
  } while (positions_of(next).size() == 0);
  return next;
}

std::optional<MicroBatch> BatchMaker::first_at(std::uint64_t step, collective::RankRange hosted,
                                               std::uint32_t batches) const {
  const MicroBatch first{step, hosted.first, 0};
  return positions_of(first).size() != 0 ? first : after(first, hosted, batches);
}

std::uint64_t BatchMaker::bytes_of(const MicroBatch& which) const {
  return row_bytes_ * positions_of(which).size();
}

bool BatchMaker::has(const MicroBatch& which) const {
  if (which.step >= total_steps() || which.logical_rank >= spec_.logical_ranks()) return false;
  const std::uint32_t batches = boundaries_.count_batches(which.step, spec_.batch.most_batches());
  return which.micro < batches * spec_.batch.accumulate;
}

Result<data::Batch> BatchMaker::make(const MicroBatch& which) const {
  try {
    return make_unguarded(which);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, "no memory for a batch",
                "lower batch.global, or raise resources.memory");
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, fmt::format("making a batch: {}", e.what()));
  }
}

std::vector<std::uint64_t> BatchMaker::samples_of(const MicroBatch& which) const {
  const std::uint64_t epoch = schedule_.batch_after(batch_of(which)).epoch;
  const Positions positions = positions_of(which);
  std::vector<std::uint64_t> samples;
  samples.reserve(positions.size());
  for (std::uint64_t at = positions.first; at < positions.last; ++at)
    samples.push_back(order_.sample_at(epoch, at));
  return samples;
}

Result<data::Batch> BatchMaker::make_unguarded(const MicroBatch& which) const {
  const BatchSchedule::Batch batch = schedule_.batch_after(batch_of(which));
  const Positions share = part_of(batch.positions, which.logical_rank, spec_.logical_ranks());
  const std::uint64_t first = positions_of(which).first - share.first;
  const data::Draw draw{spec_.seed, batch_of(which), which.logical_rank, first};
  return training_.make_batch(samples_of(which), draw);
}

}  // namespace ds::train
