#pragma once

#include "actors/train/batch_maker.hpp"

namespace ds::shard {

/// Whether a batch that came from elsewhere is the one that this job has there: its samples, rows, fields and
/// their sizes. Its values are not looked at.
Result<void> check_received(const data::Batch& batch, const train::MicroBatch& which,
                            const train::BatchMaker& maker);

/// Copies the tensors that do not lie as those of a batch that was made here (aligned to 64 bytes, as small
/// ones that came inside a message), or all of them.
void settle_memory(data::Batch& batch, bool all);

}  // namespace ds::shard
