#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "actors/data/batch.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// Which micro-batch of a job: everything about it follows from this.
struct MicroBatch {
  std::uint64_t step = 0;  ///< committed steps before it
  std::uint32_t logical_rank = 0;
  /// Of the logical rank's in the optimizer step. One that takes several batches in a row counts on from one
  /// to the next: so the order of these numbers is that in which a worker needs its micro-batches.
  std::uint32_t micro = 0;
  auto operator<=>(const MicroBatch&) const = default;
};

/// Where a worker's batches come from. Who makes one makes no difference to its bits. One consumer.
class BatchSource {
 public:
  /// The micro-batch that will be wanted after that one, on this worker; none at the end. Pure and cheap.
  using Next = std::function<std::optional<MicroBatch>(const MicroBatch&)>;

  virtual ~BatchSource() = default;
  /// From here on expects `first`, then what `next` says of it, and so on. Forgets what was made before.
  virtual void expect(const MicroBatch& first, Next next) = 0;
  /// The batch, waiting for it if it is on its way; its successors are made meanwhile. Any batch may be asked
  /// for; what was not expected just takes longer.
  virtual Result<data::Batch> take(const MicroBatch& wanted) = 0;
};

}  // namespace ds::train
