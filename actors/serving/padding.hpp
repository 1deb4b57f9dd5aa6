#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/serving/tensor.hpp"
#include "actors/serving/tensor_spec.hpp"
#include "storage/result.hpp"

/// Requests of unlike lengths share a batch once their inputs are padded to the same bucket. Pure.
namespace ds::serving {

/// Bytes of a padded input of one request: as many as a request's body may have.
inline constexpr std::uint64_t kMostPaddedBytes = std::uint64_t{64} << 20U;

/// Shapes that requests can be padded to: as many are tried at most (`plan_padding`).
inline constexpr std::size_t kMostPaddedShapes = 64;

/// Lengths that one variable size is padded to: ascending, from 1, never empty.
using Buckets = std::vector<std::int64_t>;

/// What is asked for.
struct PaddingWish {
  std::vector<Buckets> buckets;  ///< for each variable size of an input besides the batch, in order
  double value = 0;              ///< behind inputs that `values` does not name
  std::map<std::string, double> values = {};  ///< by the input's name
  std::vector<std::string> cut = {};  ///< outputs that carry a length and are given back without padding
  double tolerance = 1e-4;            ///< of the trial: differences over an output's largest number
};

/// The same for a model. Its requests have as many lengths as there are lists of buckets: the first variable
/// size of every padded input is as large as that of the others, and so is the second.
struct Padding {
  struct Input {
    std::size_t place = 0;                ///< among the model's inputs
    std::vector<std::size_t> dimensions;  ///< those that are the first length, the second, …
    double value = 0;                     ///< an element behind them
    bool operator==(const Input&) const = default;
  };
  struct Output {
    std::size_t place = 0;                ///< among its outputs
    std::vector<std::size_t> dimensions;  ///< that are as long as the inputs; empty: not tried yet
    std::vector<std::size_t> lengths;     ///< for each of them: as which of the request's
    bool operator==(const Output&) const = default;
  };
  std::vector<Buckets> buckets;  ///< the last of each is the longest that is taken
  std::vector<Input> inputs;     ///< empty: the model takes texts, which it pads itself
  std::vector<Output> outputs;   ///< to be cut
  bool operator==(const Padding&) const = default;
};

/// Elements of padded inputs.
struct PaddedElements {
  std::uint64_t real = 0, padding = 0;
  PaddedElements& operator+=(const PaddedElements& more) {
    real += more.real;
    padding += more.padding;
    return *this;
  }
  bool operator==(const PaddedElements&) const = default;
};

/// Errors: `invalid_argument` for lists that are empty, not ascending, not from 1, or make too many shapes
/// together.
Result<void> check_buckets(std::span<const Buckets> buckets);

/// Padded is every input with variable sizes besides the batch. Errors: `invalid_argument` where there is
/// none, or one has more of them than there are lists of buckets, or none as many, a name is not the model's,
/// or a value is none of the input's type; and those of `check_buckets`.
Result<Padding> plan_padding(const PaddingWish& wish, std::span<const TensorSpec> inputs,
                             std::span<const TensorSpec> outputs);

/// The smallest that holds it; 0: none does.
std::int64_t bucket_of(std::span<const std::int64_t> buckets, std::int64_t length);

/// `given` fit `inputs`, in any order. Errors: `invalid_argument` when one is empty, longer than the largest
/// bucket, or too large once it is padded, or not as long as the others: the trial is of equal lengths.
Result<void> check_lengths(const Padding& padding, std::span<const TensorSpec> inputs,
                           std::span<const Tensor> given);

/// What the model's outputs are once they are cut.
std::vector<TensorSpec> cut_specs(const Padding& padding, std::vector<TensorSpec> outputs);

/// Shapes of a request's inputs that are equal in this may share a batch: all sizes but the rows, as they are
/// once `padding` (may be null) is done.
std::uint64_t shape_key(std::span<const std::span<const std::int64_t>> shapes, const Padding* padding);

/// Of inputs in the model's order that `check_lengths` lets through; else they stay as they are.
PaddedElements pad_inputs(const Padding& padding, std::vector<Tensor>& inputs);
/// The lengths of a request's padded inputs before they are padded; as many as there are lists of buckets.
std::vector<std::int64_t> lengths_of(const Padding& padding, std::span<const Tensor> inputs);
/// Takes away what an answer has of the padding.
void cut_outputs(const Padding& padding, std::span<const std::int64_t> lengths, std::vector<Tensor>& outputs);

/// The tensor with `length` elements along the dimension, of which it has no more: behind its own stands
/// `value`. Precondition: its type has the value.
Tensor pad(const Tensor& tensor, std::size_t dimension, std::int64_t length, double value);
/// The first `length` elements along the dimension.
Tensor cut(const Tensor& tensor, std::size_t dimension, std::int64_t length);

/// One element of the type; none: it has no such value, as INT64 has no 0.5, or elements of BYTES.
std::optional<std::array<std::byte, 8>> element_of(Datatype type, double value);

}  // namespace ds::serving
