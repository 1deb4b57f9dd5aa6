#include "kernels/convert.hpp"

#include <cstdlib>

#include "kernels/half_bits.hpp"

namespace ds::kernels {
namespace {

template <class To, class From, class Convert>
void convert(std::span<To> to, std::span<const From> from, Convert one) {
  if (to.size() != from.size()) std::abort();
  To* __restrict out = to.data();
  const From* __restrict in = from.data();
  const std::size_t count = to.size();
  for (std::size_t i = 0; i < count; ++i) out[i] = one(in[i]);
}

}  // namespace

void widen(std::span<float> to, std::span<const BFloat16> from) {
  convert(to, from, [](BFloat16 value) { return to_float(value); });
}
void widen(std::span<float> to, std::span<const Float16> from) {
  convert(to, from, [](Float16 value) { return to_float(value); });
}
void narrow(std::span<BFloat16> to, std::span<const float> from) {
  convert(to, from, [](float value) { return BFloat16{to_bfloat16_bits(value)}; });
}
void narrow(std::span<Float16> to, std::span<const float> from) {
  convert(to, from, [](float value) { return Float16{to_float16_bits(value)}; });
}

}  // namespace ds::kernels
