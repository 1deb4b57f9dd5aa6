#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/element_type.hpp"

namespace ds::kernels {

// The one definition of what ReduceOperator promises, for processors and GPUs. Pure; whoever compiles it must
// not fuse multiplications with additions, nor flush subnormals.

/// Integers are combined as unsigned, where overflow wraps.
template <class T>
using Wrapping =
    typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// Of equal numbers, which differ in the sign of zero at most, the one with the sign (minimum) or without it
/// (maximum). A NaN on the left wins here, one on the right by failing the comparison.
template <ReduceOperator op, class T>
constexpr T extreme(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return op == ReduceOperator::minimum ? std::min(a, b) : std::max(a, b);
  } else {
    const auto left = std::bit_cast<Bits<T>>(a), right = std::bit_cast<Bits<T>>(b);
    const T same = std::bit_cast<T>(op == ReduceOperator::minimum ? left | right : left & right);
    const bool wins = op == ReduceOperator::minimum ? a < b : a > b;
    T result = wins ? a : b;
    result = a == b ? same : result;
    return a != a ? a : result;
  }
}

template <ReduceOperator op, class T>
constexpr T combine(T a, T b) {
  using W = Wrapping<T>;
  if constexpr (op == ReduceOperator::sum) return static_cast<T>(static_cast<W>(a) + static_cast<W>(b));
  if constexpr (op == ReduceOperator::product) return static_cast<T>(static_cast<W>(a) * static_cast<W>(b));
  return extreme<op>(a, b);
}

template <class T>
constexpr T canonical(T value) {
  if constexpr (std::is_integral_v<T>) return value;
  return value != value ? std::numeric_limits<T>::quiet_NaN() : value;
}

}  // namespace ds::kernels
