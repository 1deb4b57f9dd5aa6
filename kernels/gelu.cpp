#include "kernels/gelu.hpp"

#include "kernels/exponential.hpp"
#include "kernels/int8_code.hpp"

namespace ds::kernels {
namespace {

[[gnu::always_inline]] inline void gelu_all(float* values, std::size_t count) {
  constexpr float kHalfRoot = 0.70710678F, kSlope = 0.3275911F;
  for (std::size_t i = 0; i < count; ++i) {
    const float x = values[i];
    const float scaled = x * kHalfRoot;
    const float size = scaled < 0 ? -scaled : scaled;
    const float t = 1 / (1 + kSlope * size);
    float sum = 1.061405429F;
    sum = sum * t - 1.453152027F;
    sum = sum * t + 1.421413741F;
    sum = sum * t - 0.284496736F;
    sum = sum * t + 0.254829592F;
    const float tail = sum * t * exponential(-size * size);  // 1 - erf(size)
    values[i] = 0.5F * x * (scaled < 0 ? tail : 2 - tail);
  }
}

void gelu_portable(float* values, std::size_t count) {
  gelu_all(values, count);
}
#ifdef DS_INT8_X86
DS_INT8_AVX2 void gelu_avx2(float* values, std::size_t count) {
  gelu_all(values, count);
}
DS_INT8_AVX512 void gelu_avx512(float* values, std::size_t count) {
  gelu_all(values, count);
}
#endif

}  // namespace

void gelu(float* values, std::size_t count, Int8Code code) {
#ifdef DS_INT8_X86
  if (code == Int8Code::avx512_vnni) return gelu_avx512(values, count);
  if (code == Int8Code::avx2) return gelu_avx2(values, count);
#endif
  static_cast<void>(code);
  gelu_portable(values, count);
}

}  // namespace ds::kernels
