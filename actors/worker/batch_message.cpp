#include "actors/worker/batch_message.hpp"

#include <fmt/format.h>

#include <utility>

namespace ds::worker {

using messages::BatchMade;
using messages::BatchName;
using train::MicroBatch;

BatchName to_name(const MicroBatch& which) {
  return {which.step, which.logical_rank, which.micro};
}

MicroBatch to_micro_batch(const BatchName& name) {
  return {name.step, name.logical_rank, name.micro};
}

BatchMade to_message(const MicroBatch& which, const Result<data::Batch>& batch) {
  BatchMade made;
  made.name = to_name(which);
  if (!batch) {
    made.error = batch.error().message;
    return made;
  }
  made.rows = batch->rows;
  made.skipped = batch->skipped;
  made.samples = batch->samples;
  made.first_skipped = batch->first_skipped;
  for (const auto& [name, tensor] : batch->fields)
    made.fields.push_back({name, static_cast<std::uint8_t>(tensor.element), tensor.shape, tensor.bytes});
  return made;
}

Result<data::Batch> to_batch(const BatchMade& made) {
  if (!made.error.empty()) return fail(ErrorCode::unavailable, made.error);
  data::Batch batch;
  batch.rows = made.rows;
  batch.skipped = made.skipped;
  batch.samples = made.samples;
  batch.first_skipped = made.first_skipped;
  for (const auto& field : made.fields) {
    if (field.element > static_cast<std::uint8_t>(data::Element::uint8))
      return fail(ErrorCode::invalid_argument, fmt::format("a tensor of element {}", field.element));
    batch.fields.emplace_back(
        field.name, data::HostTensor{static_cast<data::Element>(field.element), field.shape, field.bytes});
  }
  return batch;
}

}  // namespace ds::worker
