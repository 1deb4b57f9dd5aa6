#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "actors/messages/serving.hpp"
#include "actors/serving/model_metadata.hpp"
#include "actors/serving/tensor.hpp"

namespace ds::replica {

// Tensors and their descriptions as they travel; memory is shared. A datatype that there isn't is the
// sender's fault, and becomes `BYTES`, which no model's input check lets through for another.

std::vector<messages::ServedTensor> to_message(const std::vector<serving::Tensor>& tensors);
std::vector<messages::ServedTensor> to_message(std::vector<serving::Tensor>&& tensors);
std::vector<serving::Tensor> to_tensors(std::vector<messages::ServedTensor>&& tensors);
std::vector<messages::ServedSpec> to_message(const std::vector<serving::TensorSpec>& specs);
std::vector<serving::TensorSpec> to_specs(const std::vector<messages::ServedSpec>& specs);

messages::ServedPadding to_message(const std::optional<serving::Padding>& padding);
/// Without what that model has not.
std::optional<serving::Padding> to_padding(const messages::ServedPadding& padding,
                                           const serving::ModelMetadata& model);

/// The most tensors of a message of several requests or answers: each is a piece of it, of which it has 64.
/// One request or answer never has more (a model's inputs and outputs are as many at most).
inline constexpr std::size_t kMostTensors = 60;

/// The same, in their order, in as few messages as take them.
std::vector<messages::InferCalls> to_messages(std::vector<messages::InferCall> calls);
std::vector<messages::InferAnswers> to_messages(std::vector<messages::InferAnswer> answers);

/// `serving::shape_key` of a request's inputs.
std::uint64_t shape_key(const std::vector<messages::ServedTensor>& inputs, const serving::Padding* padding);

}  // namespace ds::replica
