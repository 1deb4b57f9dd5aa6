#include "actors/serving/inference_request.hpp"

#include <fmt/format.h>

#include <limits>
#include <memory>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/request_reader.hpp"
#include "actors/serving/tensor_json.hpp"

namespace ds::serving {
namespace {

template <class... Arguments>
tl::unexpected<Error> refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return fail(ErrorCode::invalid_argument, fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Gives each binary input its part of what follows the JSON, in their order.
Result<void> take_binary_parts(RequestReader& reader, const Buffer& parts) {
  std::vector<Tensor>& inputs = reader.request().inputs;
  std::size_t at = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto size = reader.binary_sizes()[i];
    if (!size) continue;
    const std::size_t left = parts.size() - at;
    if (*size > left)
      return refuse("input '{}' says that it has {} bytes of binary data, but {} are left in the body",
                    inputs[i].name, *size, left);
    inputs[i].bytes = parts.slice(at, *size);
    at += *size;
    if (const std::string fault = find_fault(inputs[i]); !fault.empty())
      return refuse("binary data of input '{}' does not fit its shape: {}", inputs[i].name, fault);
  }
  if (at == parts.size()) return {};
  return refuse(
      "{} bytes of the body belong to no input: after the JSON come {}, the inputs' binary_data_size sum up "
      "to {}",
      parts.size() - at, parts.size(), at);
}

/// The whole body as one element of BYTES.
Result<Tensor> read_raw_text(const Buffer& body, const TensorSpec& spec) {
  Tensor tensor{spec.name, spec.datatype, spec.shape, {}};
  for (std::int64_t& size : tensor.shape) {
    if (size < 0) size = 1;
  }
  if (count_elements(tensor.shape) != 1U)
    return refuse("a raw request is one element of BYTES, but input '{}' takes more", spec.name);
  auto element = std::make_shared<std::string>();
  if (!append_byte_element(*element, body.text())) return refuse("a raw request of BYTES may have 4 GiB");
  tensor.bytes = Buffer(element, std::as_bytes(std::span(*element)));
  return tensor;
}

Result<Tensor> read_raw_numbers(const Buffer& body, const TensorSpec& spec) {
  Tensor tensor{spec.name, spec.datatype, spec.shape, body};
  std::int64_t* open = nullptr;
  for (std::int64_t& size : tensor.shape) {
    if (size >= 0) continue;
    if (open == nullptr) open = &size;
    size = 1;
  }
  const auto count = count_elements(tensor.shape);
  const std::uint64_t size = size_of(spec.datatype);
  if (!count || *count == 0 || *count > std::numeric_limits<std::uint64_t>::max() / size)
    return refuse("input '{}' takes no raw request", spec.name);
  const std::uint64_t row = *count * size;
  if (open != nullptr && !body.empty() && body.size() % row == 0)
    *open = static_cast<std::int64_t>(body.size() / row);
  if (const std::string fault = find_fault(tensor); !fault.empty())
    return refuse("a raw request does not fit input '{}': {}", spec.name, fault);
  return tensor;
}

Result<InferenceRequest> parse_raw(const Buffer& body, const std::optional<TensorSpec>& spec) {
  if (!spec)
    return refuse(
        "a raw request (Inference-Header-Content-Length: 0) is only for models with one input whose shape it "
        "settles");
  auto tensor =
      spec->datatype == Datatype::bytes ? read_raw_text(body, *spec) : read_raw_numbers(body, *spec);
  if (!tensor) return tl::unexpected(tensor.error());
  InferenceRequest request;
  request.inputs.push_back(std::move(*tensor));
  request.binary_outputs = true;
  return request;
}

}  // namespace

Result<InferenceRequest> parse_inference_request(const Buffer& body, std::optional<std::uint64_t> json_length,
                                                 const RequestLimits& limits,
                                                 const std::optional<TensorSpec>& raw_input) {
  if (json_length == 0U) return parse_raw(body, raw_input);
  const std::uint64_t length = json_length.value_or(body.size());
  if (length > body.size())
    return refuse("Inference-Header-Content-Length is {}, but the body has {} bytes", length, body.size());
  RequestReader reader(body.text().substr(0, length), limits);
  if (!reader.read()) return tl::unexpected(reader.error());
  if (auto taken = take_binary_parts(reader, body.slice(length, body.size() - length)); !taken)
    return tl::unexpected(taken.error());
  return std::move(reader.request());
}

}  // namespace ds::serving
