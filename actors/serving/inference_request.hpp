#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/serving/tensor.hpp"
#include "actors/serving/tensor_spec.hpp"
#include "storage/result.hpp"

namespace ds::serving {

struct RequestedOutput {
  std::string name;
  bool binary = false;
  std::uint32_t classes = 0;  ///< classification: so many of the best; 0: the tensor itself
  bool operator==(const RequestedOutput&) const = default;
};

struct InferenceRequest {
  std::string id;              ///< echoed
  std::vector<Tensor> inputs;  ///< names differ; bytes fit datatype and shape, and may lie unaligned
  std::vector<RequestedOutput> outputs;  ///< empty: all
  bool binary_outputs = false;           ///< for all outputs, where `outputs` is empty
  std::uint32_t priority = 0;            ///< 1 is the highest; 0: not given
  std::uint64_t timeout_us = 0;          ///< 0: not given
  bool operator==(const InferenceRequest&) const = default;
};

/// Bounds on what a request may hold. Depth and members of JSON objects are bounded by `JsonReader`.
struct RequestLimits {
  std::size_t max_inputs = 64;
  std::size_t max_outputs = 64;
  std::size_t max_dimensions = 16;
  std::size_t max_name_bytes = 256;  ///< of tensors, and of the request's id
  std::uint32_t max_classes = 10'000;
};

/// Parses a request. Pure; copies no binary tensor, they are slices of `body`; JSON data becomes at most four
/// times as long as its text.
///
/// `body`: decompressed. `json_length`: the header `Inference-Header-Content-Length`; none: all of the body
/// is JSON. 0: a raw request, one input that is the whole body; what it is comes from `raw_input` (none: the
/// model's inputs allow no raw request). There the first of the dimensions that vary takes what the others
/// leave, for BYTES the whole body is one element.
///
/// Errors: `invalid_argument`; `unsupported` for shared memory and sequences. The message says where and
/// what.
Result<InferenceRequest> parse_inference_request(const Buffer& body, std::optional<std::uint64_t> json_length,
                                                 const RequestLimits& limits,
                                                 const std::optional<TensorSpec>& raw_input);

}  // namespace ds::serving
