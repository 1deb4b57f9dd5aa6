#include "kernels/add_into.hpp"

#include <cstddef>
#include <cstdlib>

namespace ds::kernels {
namespace {

template <class T>
void add(T* __restrict accumulator, const T* __restrict other, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) accumulator[i] += other[i];
}

void add_zero(float* __restrict sum, const float* __restrict other, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sum[i] = 0.0F + other[i];
}

template <class T>
void add_spans(std::span<T> accumulator, std::span<const T> other) {
  if (accumulator.size() != other.size()) std::abort();
  add(accumulator.data(), other.data(), accumulator.size());
}

}  // namespace

void add_into(std::span<float> accumulator, std::span<const float> other) {
  add_spans(accumulator, other);
}
void add_into(std::span<double> accumulator, std::span<const double> other) {
  add_spans(accumulator, other);
}

void add_to_zero(std::span<float> sum, std::span<const float> other) {
  if (sum.size() != other.size()) std::abort();
  add_zero(sum.data(), other.data(), sum.size());
}

}  // namespace ds::kernels
