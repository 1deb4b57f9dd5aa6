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

/// What a job asks for.
struct PaddingWish {
  std::vector<std::int64_t> buckets;     ///< ascending, from 1, never empty
  double value = 0;                      ///< behind inputs that `values` does not name
  std::map<std::string, double> values;  ///< by the input's name
  std::vector<std::string> cut;          ///< outputs that carry the length and are given back without padding
};

/// The same for a model.
struct Padding {
  struct Input {
    std::size_t place = 0;      ///< among the model's inputs
    std::size_t dimension = 0;  ///< that is its length
    double value = 0;           ///< an element behind it
    bool operator==(const Input&) const = default;
  };
  struct Output {
    std::size_t place = 0;                ///< among its outputs
    std::vector<std::size_t> dimensions;  ///< that are as long as the inputs; empty: not tried yet
    bool operator==(const Output&) const = default;
  };
  std::vector<std::int64_t> buckets;  ///< the last is the longest that is taken
  std::vector<Input> inputs;          ///< empty: the model takes texts, which it pads itself
  std::vector<Output> outputs;        ///< to be cut
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

/// Padded is every input with one variable size besides the batch. Errors: `invalid_argument` where there is
/// none, or one has two, a name is not the model's, or a value is none of the input's type.
Result<Padding> plan_padding(const PaddingWish& wish, std::span<const TensorSpec> inputs,
                             std::span<const TensorSpec> outputs);

/// The smallest that holds it; 0: none does.
std::int64_t bucket_of(std::span<const std::int64_t> buckets, std::int64_t length);

/// `given` fit `inputs`, in any order. Errors: `invalid_argument` when one is empty, longer than the largest
/// bucket, or too large once it is padded, or not as long as the others: the trial is of equal lengths.
Result<void> check_lengths(const Padding& padding, std::span<const TensorSpec> inputs,
                           std::span<const Tensor> given);

/// Shapes of a request's inputs that are equal in this may share a batch: all sizes but the rows, as they are
/// once `padding` (may be null) is done.
std::uint64_t shape_key(std::span<const std::span<const std::int64_t>> shapes, const Padding* padding);

/// Of inputs in the model's order that `check_lengths` lets through; else they stay as they are.
PaddedElements pad_inputs(const Padding& padding, std::vector<Tensor>& inputs);
/// The length of a request's padded inputs before they are padded; 0: there is none.
std::int64_t length_of(const Padding& padding, std::span<const Tensor> inputs);
/// Takes away what an answer has of the padding.
void cut_outputs(const Padding& padding, std::int64_t length, std::vector<Tensor>& outputs);

/// The tensor with `length` elements along the dimension, of which it has no more: behind its own stands
/// `value`. Precondition: its type has the value.
Tensor pad(const Tensor& tensor, std::size_t dimension, std::int64_t length, double value);
/// The first `length` elements along the dimension.
Tensor cut(const Tensor& tensor, std::size_t dimension, std::int64_t length);

/// One element of the type; none: it has no such value, as INT64 has no 0.5, or elements of BYTES.
std::optional<std::array<std::byte, 8>> element_of(Datatype type, double value);

}  // namespace ds::serving
