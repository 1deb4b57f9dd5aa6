#include "actors/replica/tensor_message.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace ds::replica {
namespace {

serving::Datatype datatype_from(std::uint8_t number) {
  return static_cast<serving::Datatype>(
      std::min(number, static_cast<std::uint8_t>(serving::Datatype::bytes)));
}

template <class Message, class One, class Tensors>
std::vector<Message> split(std::vector<One> all, std::vector<One> Message::*content, Tensors tensors_of) {
  std::vector<Message> messages;
  std::size_t tensors = 0;
  for (One& one : all) {
    const std::size_t more = tensors_of(one).size();
    if (messages.empty() || tensors + more > kMostTensors) {
      messages.emplace_back();
      tensors = 0;
    }
    tensors += more;
    (messages.back().*content).push_back(std::move(one));
  }
  return messages;
}

}  // namespace

std::vector<messages::InferCalls> to_messages(std::vector<messages::InferCall> calls) {
  return split<messages::InferCalls>(std::move(calls), &messages::InferCalls::calls,
                                     [](const messages::InferCall& call) { return std::span(call.inputs); });
}

std::vector<messages::InferAnswers> to_messages(std::vector<messages::InferAnswer> answers) {
  return split<messages::InferAnswers>(
      std::move(answers), &messages::InferAnswers::answers,
      [](const messages::InferAnswer& answer) { return std::span(answer.outputs); });
}

std::vector<messages::ServedTensor> to_message(const std::vector<serving::Tensor>& tensors) {
  std::vector<messages::ServedTensor> sent;
  sent.reserve(tensors.size());
  for (const serving::Tensor& one : tensors)
    sent.push_back({one.name, static_cast<std::uint8_t>(one.datatype), one.shape, one.bytes});
  return sent;
}

std::vector<messages::ServedTensor> to_message(std::vector<serving::Tensor>&& tensors) {
  std::vector<messages::ServedTensor> sent;
  sent.reserve(tensors.size());
  for (serving::Tensor& one : tensors)
    sent.push_back({std::move(one.name), static_cast<std::uint8_t>(one.datatype), std::move(one.shape),
                    std::move(one.bytes)});
  return sent;
}

std::vector<serving::Tensor> to_tensors(std::vector<messages::ServedTensor>&& tensors) {
  std::vector<serving::Tensor> received;
  received.reserve(tensors.size());
  for (messages::ServedTensor& one : tensors)
    received.push_back(
        {std::move(one.name), datatype_from(one.datatype), std::move(one.shape), std::move(one.bytes)});
  return received;
}

std::vector<messages::ServedSpec> to_message(const std::vector<serving::TensorSpec>& specs) {
  std::vector<messages::ServedSpec> sent;
  for (const serving::TensorSpec& one : specs)
    sent.push_back({one.name, static_cast<std::uint8_t>(one.datatype), one.shape});
  return sent;
}

std::vector<serving::TensorSpec> to_specs(const std::vector<messages::ServedSpec>& specs) {
  std::vector<serving::TensorSpec> received;
  for (const messages::ServedSpec& one : specs)
    received.push_back({one.name, datatype_from(one.datatype), one.shape});
  return received;
}

messages::ServedPadding to_message(const std::optional<serving::Padding>& padding) {
  messages::ServedPadding sent;
  if (!padding) return sent;
  sent.buckets = padding->buckets;
  for (const auto& one : padding->inputs) {
    for (const auto dimension : one.dimensions) {
      sent.inputs.push_back(static_cast<std::uint32_t>(one.place));
      sent.dimensions.push_back(static_cast<std::uint32_t>(dimension));
      sent.values.emplace_back(one.value);
    }
  }
  for (const auto& one : padding->outputs) sent.cut.push_back(static_cast<std::uint32_t>(one.place));
  return sent;
}

std::optional<serving::Padding> to_padding(const messages::ServedPadding& padding,
                                           const serving::ModelMetadata& model) {
  if (!serving::check_buckets(padding.buckets)) return std::nullopt;
  serving::Padding received{padding.buckets, {}, {}};
  const auto count = std::min({padding.inputs.size(), padding.dimensions.size(), padding.values.size()});
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = padding.inputs[i], dimension = padding.dimensions[i];
    if (place >= model.inputs.size() || dimension >= model.inputs[place].shape.size()) continue;
    if (received.inputs.empty() || received.inputs.back().place != place)
      received.inputs.push_back({place, {}, padding.values[i]});
    auto& dimensions = received.inputs.back().dimensions;
    if (dimensions.size() < received.buckets.size()) dimensions.push_back(dimension);
  }
  for (const auto place : padding.cut) {
    if (place < model.outputs.size()) received.outputs.push_back({place, {}, {}});
  }
  return received;
}

std::uint64_t shape_key(const std::vector<messages::ServedTensor>& inputs, const serving::Padding* padding) {
  std::vector<std::span<const std::int64_t>> shapes;
  for (const messages::ServedTensor& input : inputs) shapes.emplace_back(input.shape);
  return serving::shape_key(shapes, padding);
}

}  // namespace ds::replica
