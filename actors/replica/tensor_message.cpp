#include "actors/replica/tensor_message.hpp"

#include <algorithm>

namespace ds::replica {
namespace {

serving::Datatype datatype_from(std::uint8_t number) {
  return static_cast<serving::Datatype>(
      std::min(number, static_cast<std::uint8_t>(serving::Datatype::bytes)));
}

}  // namespace

std::vector<messages::ServedTensor> to_message(const std::vector<serving::Tensor>& tensors) {
  std::vector<messages::ServedTensor> sent;
  for (const serving::Tensor& one : tensors)
    sent.push_back({one.name, static_cast<std::uint8_t>(one.datatype), one.shape, one.bytes});
  return sent;
}

std::vector<serving::Tensor> to_tensors(const std::vector<messages::ServedTensor>& tensors) {
  std::vector<serving::Tensor> received;
  for (const messages::ServedTensor& one : tensors)
    received.push_back({one.name, datatype_from(one.datatype), one.shape, one.bytes});
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

std::uint64_t shape_key(const std::vector<messages::ServedTensor>& inputs) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, 64 bits at a time
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3ULL; };
  for (const messages::ServedTensor& input : inputs) {
    mix(input.shape.size());
    for (std::size_t i = 1; i < input.shape.size(); ++i) mix(static_cast<std::uint64_t>(input.shape[i]));
  }
  return hash;
}

}  // namespace ds::replica
