#include "kernels/int8_linear.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "kernels/int8_code.hpp"

namespace ds::kernels {
namespace {

/// A row whose values lie closer together than this around 0 is a row of zeros.
constexpr float kLeastRange = 1e-30F;
constexpr std::int32_t kInfinity = 0x7F800000;
/// Adding it rounds to whole numbers, ties to even, and leaves them in the lowest bits.
constexpr float kRounder = 12582912;  // 1.5 * 2^23
constexpr std::int32_t kRounderBits = 0x4B400000;

/// Floats in their order as whole numbers: vector code can have the least and the largest of these.
inline std::int32_t to_order(std::int32_t bits) {
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}
inline float from_order(std::int32_t key) {
  return std::bit_cast<float>(to_order(key));
}

struct RowScale {
  float scale = 0, inverse = 0;
  std::int32_t zero = 0;
};

inline RowScale scale_of(std::int32_t least, std::int32_t largest) {
  if (largest >= kInfinity || least <= to_order(kInfinity | std::numeric_limits<std::int32_t>::min()))
    return {std::numeric_limits<float>::quiet_NaN(), 0, 0};
  const float low = std::min(from_order(least), 0.0F), high = std::max(from_order(largest), 0.0F);
  const float scale = high / 255 - low / 255;  // their difference may be infinite
  if (scale < kLeastRange) return {};
  const float inverse = 1 / scale;
  const auto zero =
      static_cast<std::int32_t>(std::bit_cast<std::int32_t>(-low * inverse + kRounder)) - kRounderBits;
  return {scale, inverse, std::clamp(zero, 0, 255)};
}

[[gnu::always_inline]] inline RowScale quantize_row(const float* __restrict in, std::size_t count,
                                                    std::uint8_t* __restrict out) {
  std::int32_t least = std::numeric_limits<std::int32_t>::max();
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t key = to_order(std::bit_cast<std::int32_t>(in[i]));
    least = std::min(least, key);
    largest = std::max(largest, key);
  }
  const RowScale row = scale_of(least, largest);
  if (row.inverse == 0) {
    std::memset(out, 0, count);
    return row;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t whole = std::bit_cast<std::int32_t>(in[i] * row.inverse + kRounder) - kRounderBits;
    out[i] = static_cast<std::uint8_t>(std::min(std::max(whole + row.zero, 0), 255));
  }
  return row;
}

using QuantizeRow = RowScale (*)(const float*, std::size_t, std::uint8_t*);

RowScale quantize_row_portable(const float* in, std::size_t count, std::uint8_t* out) {
  return quantize_row(in, count, out);
}
#ifdef DS_INT8_X86
DS_INT8_AVX2 RowScale quantize_row_avx2(const float* in, std::size_t count, std::uint8_t* out) {
  return quantize_row(in, count, out);
}
DS_INT8_AVX512 RowScale quantize_row_avx512(const float* in, std::size_t count, std::uint8_t* out) {
  return quantize_row(in, count, out);
}
#endif

QuantizeRow choose_quantize(Int8Code code) {
#ifdef DS_INT8_X86
  if (code == Int8Code::avx512_vnni) return quantize_row_avx512;
  if (code == Int8Code::avx2) return quantize_row_avx2;
#endif
  static_cast<void>(code);
  return quantize_row_portable;
}

}  // namespace

Int8Code best_int8_code() {
#ifdef DS_INT8_X86
  static const Int8Code best = [] {
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
      return Int8Code::avx512_vnni;
    return __builtin_cpu_supports("avx2") ? Int8Code::avx2 : Int8Code::portable;
  }();
  return best;
#else
  return Int8Code::portable;
#endif
}

void Int8Rows::quantize(std::span<const float> values, std::size_t rows, std::size_t inputs, Int8Code code) {
  if (values.size() != rows * inputs) std::abort();
  rows_ = rows;
  inputs_ = inputs;
  stride_ = (inputs + 3) / 4 * 4;
  if (values_.size() < rows * stride_) values_.resize(rows * stride_);
  if (scales_.size() < rows) {
    scales_.resize(rows);
    zeros_.resize(rows);
  }
  const QuantizeRow quantize_one = choose_quantize(code);
  for (std::size_t r = 0; r < rows; ++r) {
    std::uint8_t* out = values_.data() + r * stride_;
    const RowScale row = quantize_one(values.data() + r * inputs, inputs, out);
    for (std::size_t i = inputs; i < stride_; ++i) out[i] = 0;
    scales_[r] = row.scale;
    zeros_[r] = row.zero;
  }
}

void int8_linear(const Int8Weights& weights, const Int8Rows& rows, std::span<const float> bias, float* out,
                 std::size_t out_stride, std::size_t first, std::size_t last, Int8Code code) {
  if (rows.inputs() != weights.inputs() || last > weights.panels() ||
      (!bias.empty() && bias.size() != weights.outputs()))
    std::abort();
  const Int8Product product{&weights, &rows, bias.empty() ? nullptr : bias.data(), out, out_stride};
#ifdef DS_INT8_X86
  if (code == Int8Code::avx512_vnni) return multiply_avx512_vnni(product, first, last);
  if (code == Int8Code::avx2) return multiply_avx2(product, first, last);
#endif
  static_cast<void>(code);
  multiply_portable(product, first, last);
}

}  // namespace ds::kernels
