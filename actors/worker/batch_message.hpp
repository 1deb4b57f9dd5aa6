#pragma once

#include "actors/messages/shard.hpp"
#include "actors/train/batch_source.hpp"

namespace ds::worker {

/// A batch as it travels; the tensors' memory is shared, not copied.
messages::BatchMade to_message(const train::MicroBatch& which, const Result<data::Batch>& batch);

/// The batch of a message that came from elsewhere: its fields may be anything. `invalid_argument` for an
/// element that there is not; an error for one that was sent.
Result<data::Batch> to_batch(const messages::BatchMade& made);

messages::BatchName to_name(const train::MicroBatch& which);
train::MicroBatch to_micro_batch(const messages::BatchName& name);

}  // namespace ds::worker
