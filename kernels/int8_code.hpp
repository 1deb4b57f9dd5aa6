#pragma once

// Private to kernels: the loops of `int8_linear` for each kind of processor.

#include <cstddef>
#include <cstdint>

#include "kernels/int8_linear.hpp"

#if defined(__x86_64__)
#define DS_INT8_X86 1
#define DS_INT8_AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define DS_INT8_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#else
#define DS_INT8_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,prefer-vector-width=512")))
#endif
#endif

namespace ds::kernels {

struct Int8Product {
  const Int8Weights* weights;
  const Int8Rows* rows;
  const float* bias;  ///< null: none
  float* out;
  std::size_t out_stride;
};

/// The one definition of a result from its exact sum.
[[gnu::always_inline]] inline void finish_panel(const Int8Product& product, std::size_t row,
                                                std::size_t panel, const std::int32_t* sums) {
  const Int8Weights& weights = *product.weights;
  const std::size_t first = panel * kInt8Panel;
  const std::size_t left = weights.outputs() - first;
  const std::size_t count = left < kInt8Panel ? left : kInt8Panel;
  const float scale = product.rows->scale(row);
  const std::int32_t zero = product.rows->zero(row);
  const float* scales = weights.scales().data() + first;
  const std::int32_t* own = weights.sums().data() + first;
  float* out = product.out + row * product.out_stride + first;
  if (product.bias == nullptr) {
    for (std::size_t i = 0; i < count; ++i)
      out[i] = static_cast<float>(sums[i] - zero * own[i]) * (scale * scales[i]);
  } else {
    const float* bias = product.bias + first;
    for (std::size_t i = 0; i < count; ++i)
      out[i] = static_cast<float>(sums[i] - zero * own[i]) * (scale * scales[i]) + bias[i];
  }
}

void multiply_portable(const Int8Product& product, std::size_t first, std::size_t last);
#ifdef DS_INT8_X86
void multiply_avx2(const Int8Product& product, std::size_t first, std::size_t last);
void multiply_avx512_vnni(const Int8Product& product, std::size_t first, std::size_t last);
#endif

}  // namespace ds::kernels
