#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ds::kernels {

/// The most inputs of a layer: sums of so many products of 8 bits fit 32.
inline constexpr std::size_t kMostInt8Inputs = 65'536;
/// Outputs whose weights lie together.
inline constexpr std::size_t kInt8Panel = 16;

/// The weights of a linear layer as whole numbers of -127 to 127 times a scale for each output, laid out for
/// the processor: panels of 16 outputs, in each four inputs of every output side by side. Immutable.
class Int8Weights {
 public:
  /// `weights`: outputs x inputs, row-major; or inputs x outputs when `transposed`. An output's scale is its
  /// largest magnitude / 127. None: a weight is not finite, or there are no or too many inputs or outputs.
  static std::optional<Int8Weights> pack(std::span<const float> weights, std::size_t outputs,
                                         std::size_t inputs, bool transposed = false);

  std::size_t outputs() const { return outputs_; }
  std::size_t inputs() const { return inputs_; }
  std::size_t panels() const { return (outputs_ + kInt8Panel - 1) / kInt8Panel; }
  /// Inputs of a panel, with the zeros that fill the last four up.
  std::size_t padded_inputs() const { return (inputs_ + 3) / 4 * 4; }
  std::size_t bytes() const;  ///< that it takes in memory

  const std::int8_t* panel(std::size_t number) const {
    return values_.data() + number * kInt8Panel * padded_inputs();
  }
  std::span<const float> scales() const { return scales_; }     ///< of all panels' outputs
  std::span<const std::int32_t> sums() const { return sums_; }  ///< of an output's whole numbers
  std::int8_t at(std::size_t output, std::size_t input) const;  ///< for tests and other layouts

 private:
  Int8Weights() = default;

  std::size_t outputs_ = 0, inputs_ = 0;
  std::vector<std::int8_t> values_;
  std::vector<float> scales_;
  std::vector<std::int32_t> sums_;
};

}  // namespace ds::kernels
