#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/serving/inference_request.hpp"
#include "actors/serving/padding.hpp"
#include "actors/serving/tensor.hpp"
#include "storage/result.hpp"

namespace ds::serving {

/// What clients are told of a served model, and what their requests are checked against.
struct ModelMetadata {
  std::string name;
  std::string platform = "pytorch_torchscript";
  std::vector<std::uint64_t> versions;
  std::vector<TensorSpec> inputs;   ///< shapes with the batch dimension where there is one
  std::vector<TensorSpec> outputs;  ///< the same; a model that gives none is one whose outputs aren't known
  /// Rows that the model takes at once; the first dimension of each input and output is then the batch. 0:
  /// the model has no batch dimension, each request is one row.
  std::uint32_t max_batch_size = 0;
  /// Names of the classes that the first output scores, one a column; null: it scores none, or they have no
  /// names. Shared, because there may be many and this is copied.
  std::shared_ptr<const std::vector<std::string>> classes{};
  std::string quantization;        ///< what was done to the model's numbers, a line; empty: nothing
  std::optional<Padding> padding;  ///< none: only requests of equal shapes share a batch
};

/// Compares a request with the model: every input there, known, of the right datatype and shape, all with the
/// same number of rows, which is from 1 to `max_batch_size`, and of a length that `padding` takes; requested
/// outputs known. Gives the rows.
///
/// Errors: `invalid_argument`, in Triton's words where it has some, since people search for them: what was
/// expected of which input and what came.
Result<std::uint64_t> check_inputs(const ModelMetadata& model, const InferenceRequest& request);

/// `[-1,16]`
std::string format_shape(std::span<const std::int64_t> shape);

}  // namespace ds::serving
