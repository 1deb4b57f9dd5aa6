#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/train/progress.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// What a step leaves behind besides parameters and the optimizer's vectors. Parameter servers keep it with
/// them, unread, so that workers need nothing from each other.
struct WorkerState {
  std::uint64_t step = 0;  ///< committed
  Progress progress;
  std::vector<float> buffers;
  std::vector<std::int64_t> counters;
  bool operator==(const WorkerState&) const = default;
};

Buffer to_buffer(const WorkerState& state);

/// `data_loss` when the bytes are no state with so many buffers and counters.
Result<WorkerState> to_worker_state(const Buffer& bytes, std::size_t buffers, std::size_t counters);

/// The newest of what servers keep: a gang that ended in the middle of a meeting, or of what follows an
/// evaluation, told some of them only. There is one at least. Errors as above.
Result<WorkerState> newest_of(const std::vector<Buffer>& states, std::size_t buffers, std::size_t counters);

}  // namespace ds::train
