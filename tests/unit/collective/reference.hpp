#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

#include "actors/collective/vector_view.hpp"
#include "kernels/convert.hpp"

namespace ds::collective {

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;
template <class T>
using Accumulator = std::conditional_t<kIsHalf<T>, float, T>;

template <class T>
Accumulator<T> accumulator_from(T value) {
  if constexpr (kIsHalf<T>) {
    float wide = 0;
    kernels::widen(std::span(&wide, 1), std::span<const T>(&value, 1));
    return wide;
  } else {
    return value;
  }
}

template <class T>
T rounded(Accumulator<T> value) {
  if constexpr (kIsHalf<T>) {
    T half;
    kernels::narrow(std::span(&half, 1), std::span<const float>(&value, 1));
    return half;
  } else {
    return value;
  }
}

/// Values whose magnitudes differ so much that the order of additions shows in the bits; integers of all
/// sizes, so that they wrap; now and then one that needs a rule.
template <class T>
const std::vector<T>& wild_values() {
  static const std::vector<T> values = [] {
    std::mt19937_64 generator(1);
    std::vector<T> made(4093);
    for (T& value : made) {
      const std::uint64_t high = generator(), low = generator();
      if constexpr (std::is_integral_v<T>) {
        value = static_cast<T>(high);
      } else {
        const int exponent = static_cast<int>(high % 25) - 12;
        const double mantissa = static_cast<double>(low) / 0x1p63 - 1;
        auto number = static_cast<Accumulator<T>>(std::ldexp(mantissa, exponent));
        using Limits = std::numeric_limits<Accumulator<T>>;
        if (high % 97 == 0) number = low % 2 == 0 ? Limits::infinity() : -Limits::infinity();
        if (high % 97 == 1) number = low % 2 == 0 ? Accumulator<T>(0) : -Accumulator<T>(0);
        if (high % 97 == 2) number = std::copysign(Limits::quiet_NaN(), low % 2 == 0 ? 1 : -1);
        value = rounded<T>(number);
      }
    }
    return made;
  }();
  return values;
}

template <class T>
std::vector<T> wild_vector(std::size_t size, std::uint64_t seed) {
  const std::vector<T>& values = wild_values<T>();
  std::vector<T> vector(size);
  std::size_t at = seed * 611 % values.size();
  const std::size_t step = 1 + seed * 17 % (values.size() - 1);
  for (T& value : vector) {
    value = values[at];
    at += step;
    if (at >= values.size()) at -= values.size();
  }
  return vector;
}

/// One combination by the book.
template <class A>
A combine_by_the_book(ReduceOperator op, A a, A b) {
  if constexpr (std::is_integral_v<A>) {
    using U = std::make_unsigned_t<A>;
    if (op == ReduceOperator::sum) return static_cast<A>(static_cast<U>(a) + static_cast<U>(b));
    if (op == ReduceOperator::product) return static_cast<A>(static_cast<U>(a) * static_cast<U>(b));
    return op == ReduceOperator::minimum ? std::min(a, b) : std::max(a, b);
  } else {
    A result = a;
    if (op == ReduceOperator::sum) result = a + b;
    if (op == ReduceOperator::product) result = a * b;
    if (op == ReduceOperator::minimum || op == ReduceOperator::maximum) {
      const bool low = op == ReduceOperator::minimum;
      if (a == b) result = std::signbit(a) == low ? a : b;
      if (a != b) result = (a < b) == low ? a : b;
      if (std::isnan(a) || std::isnan(b)) result = std::numeric_limits<A>::quiet_NaN();
    }
    return std::isnan(result) ? std::numeric_limits<A>::quiet_NaN() : result;
  }
}

/// The combination of the leaves' vectors, neighbours level by level, rounded at the end.
template <class T>
std::vector<T> combination_by_the_book(ReduceOperator op, const std::vector<std::vector<T>>& leaves) {
  if (leaves.size() == 1) return leaves.front();
  std::vector<T> result(leaves.front().size());
  std::vector<Accumulator<T>> nodes(leaves.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) nodes[leaf] = accumulator_from(leaves[leaf][i]);
    for (std::size_t count = leaves.size(); count > 1; count = (count + 1) / 2) {
      for (std::size_t k = 0; k < count; k += 2)
        nodes[k / 2] = k + 1 < count ? combine_by_the_book(op, nodes[k], nodes[k + 1]) : nodes[k];
    }
    result[i] = rounded<T>(nodes[0]);
  }
  return result;
}

/// A reduction with its outcome.
template <class T>
struct KnownReduction {
  std::vector<std::vector<T>> leaves;
  std::vector<T> result;
};

/// Worked out once for all members that live in this process, as long as it is among the last few.
template <class T>
std::shared_ptr<const KnownReduction<T>> known_reduction(ReduceOperator op, std::uint32_t leaves,
                                                         std::size_t size) {
  using Key = std::tuple<ReduceOperator, std::uint32_t, std::size_t>;
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const KnownReduction<T>>> known;
  const std::lock_guard lock(mutex);
  if (known.size() > 40) known.clear();
  auto& entry = known[{op, leaves, size}];
  if (!entry) {
    auto made = std::make_shared<KnownReduction<T>>();
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf)
      made->leaves.push_back(wild_vector<T>(size, static_cast<std::uint64_t>(op) * 1000 + leaf));
    made->result = combination_by_the_book(op, made->leaves);
    entry = std::move(made);
  }
  return entry;
}

template <class T>
bool has_same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace ds::collective
