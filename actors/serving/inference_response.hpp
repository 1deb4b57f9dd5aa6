#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/serving/inference_request.hpp"
#include "actors/serving/tensor.hpp"
#include "storage/result.hpp"

namespace ds::serving {

struct EncodedResponse {
  std::string body;
  /// For the header `Inference-Header-Content-Length` (the body is then `application/octet-stream`); none:
  /// all of the body is JSON.
  std::optional<std::uint64_t> json_length;
};

/// Names of classes for each output that has them, by the output's name.
using ClassLabels = std::map<std::string, std::vector<std::string>, std::less<>>;

/// The answer to `request`: the outputs it asks for, in its order, else all. Pure. An empty `model_version`
/// or id is left out.
///
/// Errors: `invalid_argument`: an output that is not there, what has no JSON form (`append_tensor_data`),
/// classes of BYTES; `internal`: a tensor's bytes and shape disagree.
Result<EncodedResponse> encode_response(std::string_view model_name, std::string_view model_version,
                                        const InferenceRequest& request, const std::vector<Tensor>& outputs,
                                        const ClassLabels& labels = {});

}  // namespace ds::serving
