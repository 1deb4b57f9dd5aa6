// Requests through a model.
#include "actors/infer/torch_served_model.hpp"

#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "actors/infer/tensor_bridge.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::infer {

using serving::Tensor;

Result<std::vector<ServedModel::Tensors>> TorchServedModel::run(std::span<const Tensors* const> requests) {
  auto answers = train::guarded(fmt::format("model {}", metadata_.name), ErrorCode::invalid_argument,
                                [&]() -> Result<std::vector<Tensors>> { return compute(requests); });
  if (!answers && !device_.is_usable()) has_lost_device_ = true;
  if (has_lost_device_ && !answers) answers.error().code = ErrorCode::unavailable;
  return answers;
}

at::Tensor TorchServedModel::tokens_of(std::span<const Tensor* const> texts) {
  if (text_buckets_.empty()) return join_texts(texts, *files_.encoder);
  return join_texts(texts, *files_.encoder, text_buckets_, text_elements_);
}

/// From and to the host's memory. Throws what torch throws.
std::vector<Named> TorchServedModel::forward(std::vector<c10::IValue> inputs) {
  train::use_threads(static_cast<int>(threads_));
  const c10::InferenceMode without_gradients;
  const c10::DeviceGuard there(device_.device());
  const bool is_bf16 = !given_types_.empty();
  for (c10::IValue& input : inputs) {
    at::Tensor tensor = device_.take_over(std::move(input).toTensor());
    if (is_bf16 && tensor.is_floating_point()) tensor = tensor.to(at::kBFloat16);
    input = std::move(tensor);
  }
  auto outputs = name_outputs(module_.forward(std::move(inputs)));
  std::vector<at::Tensor> tensors;
  for (const Named& output : outputs) tensors.push_back(output.tensor);
  tensors = device_.bring_back(tensors);
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].tensor = std::move(tensors[i]);
  return outputs;
}

std::vector<Named> TorchServedModel::name_outputs(const c10::IValue& result) const {
  const bool is_bf16 = !given_types_.empty();
  std::vector<Named> outputs;
  const auto add = [&](std::string name, const c10::IValue& value) {
    TORCH_CHECK(value.isTensor(), "an output must be a tensor, it is a ", value.tagKind());
    at::Tensor tensor = value.toTensor();
    if (is_bf16 && tensor.is_floating_point() && outputs.size() < given_types_.size() &&
        at::isFloatingType(given_types_[outputs.size()]))
      tensor = tensor.to(given_types_[outputs.size()]);
    outputs.push_back({std::move(name), std::move(tensor)});
  };
  if (result.isTuple()) {
    for (const auto& one : result.toTupleRef().elements())
      add(fmt::format("output__{}", outputs.size()), one);
  } else if (result.isList()) {
    for (const c10::IValue& one : result.toListRef()) add(fmt::format("output__{}", outputs.size()), one);
  } else if (result.isGenericDict()) {
    for (const auto& one : result.toGenericDict()) add(one.key().toStringRef(), one.value());
  } else {
    add("output__0", result);
  }
  return outputs;
}

bool TorchServedModel::has_labels(const std::vector<Named>& outputs) const {
  const at::Tensor& scores = outputs.front().tensor;
  return !files_.labels.empty() && scores.dim() == 2 &&
         scores.size(1) == static_cast<std::int64_t>(files_.labels.size());
}

Result<std::vector<ServedModel::Tensors>> TorchServedModel::compute(
    std::span<const Tensors* const> requests) {
  text_elements_ = {};
  std::vector<c10::IValue> inputs;
  for (std::size_t i = 0; i < metadata_.inputs.size(); ++i) {
    std::vector<const Tensor*> parts;
    parts.reserve(requests.size());
    for (const Tensors* request : requests) parts.push_back(&(*request)[i]);
    inputs.emplace_back(encoded() == i ? tokens_of(parts) : join(parts, device_));
  }
  std::int64_t rows = 0;
  for (const Tensors* request : requests) rows += request->front().shape.front();
  const auto outputs = forward(std::move(inputs));
  const std::size_t named = metadata_.outputs.size() - (has_labels(outputs) ? 1 : 0);
  TORCH_CHECK(outputs.size() == named, "it gave ", outputs.size(), " outputs, and ", named,
              " when it was tried");
  for (const Named& output : outputs) {
    TORCH_CHECK(output.tensor.dim() > 0 && output.tensor.size(0) == rows, "output ", output.name,
                " has the shape ", output.tensor.sizes(), " for ", rows, " rows");
  }
  std::vector<Tensors> answers;
  answers.reserve(requests.size());
  std::int64_t first = 0;
  for (const Tensors* request : requests) {
    const std::int64_t own = request->front().shape.front();
    Tensors& answer = answers.emplace_back();
    answer.reserve(metadata_.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      answer.push_back(slice(outputs[i].tensor, metadata_.outputs[i].name, first, own));
    if (named < metadata_.outputs.size())
      answer.push_back(to_labels(outputs.front().tensor, files_.labels, first, own));
    first += own;
  }
  return answers;
}

}  // namespace ds::infer
