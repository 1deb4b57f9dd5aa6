#include "actors/train/batch_schedule.hpp"

#include <algorithm>

namespace ds::train {

Positions part_of(Positions whole, std::uint64_t part, std::uint64_t parts) {
  return {whole.first + whole.size() * part / parts, whole.first + whole.size() * (part + 1) / parts};
}

ActiveRanks active_ranks(Positions batch, std::uint32_t ranks) {
  ActiveRanks active{0, ranks};
  for (std::uint32_t rank = ranks; rank-- > 0;) {
    if (part_of(batch, rank, ranks).size() != 0) active = {active.count + 1, rank};
  }
  return active;
}

std::uint64_t BatchSchedule::total_steps(const scheduler::Until& until) const {
  return until.steps ? *until.steps : until.epochs.value_or(0) * steps_per_epoch();
}

BatchSchedule::Batch BatchSchedule::batch_after(std::uint64_t committed, std::uint32_t batches) const {
  const std::uint64_t first = committed % steps_per_epoch() * global_;
  return {committed / steps_per_epoch(), {first, std::min(first + batches * global_, samples_)}, batches};
}

}  // namespace ds::train
