#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/int8_weights.hpp"

namespace ds::kernels {

/// What the loops are compiled for. All give the same bits.
enum class Int8Code : std::uint8_t { portable, avx2, avx512_vnni };
/// The fastest that this processor runs.
Int8Code best_int8_code();

/// Rows of activations as whole numbers of 0 to 255: value = (number - zero) * scale, with a scale and a zero
/// for each row, which cover the row and 0. Reused from call to call, so that its memory is.
class Int8Rows {
 public:
  /// `values`: rows x inputs, row-major. A row with an element that is not finite comes out as NaN
  /// throughout, so that the loss of it is seen.
  void quantize(std::span<const float> values, std::size_t rows, std::size_t inputs,
                Int8Code code = best_int8_code());

  std::size_t rows() const { return rows_; }
  std::size_t inputs() const { return inputs_; }
  std::size_t stride() const { return stride_; }  ///< bytes from row to row; the last are zero
  const std::uint8_t* row(std::size_t number) const { return values_.data() + number * stride_; }
  float scale(std::size_t row) const { return scales_[row]; }  ///< NaN: the row is
  std::int32_t zero(std::size_t row) const { return zeros_[row]; }

 private:
  std::size_t rows_ = 0, inputs_ = 0, stride_ = 0;
  std::vector<std::uint8_t> values_;
  std::vector<float> scales_;
  std::vector<std::int32_t> zeros_;
};

/// out[r][o] = sum over i of rows[r][i] * weights[o][i] + bias[o], for the outputs of panels `first` to
/// before `last` (`Int8Weights::panels`), in out[r * out_stride + o]. Sums are exact; the result is rounded
/// thrice (to float, times scales, plus bias). `bias`: one an output, or empty. The rows have as many inputs
/// as the weights. Pure; panels may be computed by several threads at once.
void int8_linear(const Int8Weights& weights, const Int8Rows& rows, std::span<const float> bias, float* out,
                 std::size_t out_stride, std::size_t first, std::size_t last,
                 Int8Code code = best_int8_code());

}  // namespace ds::kernels
