#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace ds::kernels {

/// A bfloat16: the upper half of a float. Carries bits; computing happens in float (convert.hpp).
struct BFloat16 {
  std::uint16_t bits = 0;
  bool operator==(const BFloat16&) const = default;  ///< equal bits
};

/// An IEEE 754 binary16. Carries bits; computing happens in float (convert.hpp).
struct Float16 {
  std::uint16_t bits = 0;
  bool operator==(const Float16&) const = default;  ///< equal bits
};

/// What a vector consists of. The numbers travel between processes.
enum class ElementType : std::uint8_t { float32, float64, bfloat16, float16, int32, int64 };
inline constexpr std::size_t kElementTypes = 6;

/// How two elements become one.
///
/// Integers wrap. `minimum` and `maximum` of floats are those of IEEE 754-2019: -0 is less than +0, and a NaN
/// wins. A result of two or more elements that is no number is always the same one, the positive quiet NaN
/// without payload, whatever NaNs went in: so that no order of operands and no processor shows in the bits.
enum class ReduceOperator : std::uint8_t { sum, product, minimum, maximum };
inline constexpr std::size_t kReduceOperators = 4;

constexpr std::size_t size_of(ElementType type) {
  constexpr std::size_t kSizes[kElementTypes] = {4, 8, 2, 2, 4, 8};
  return kSizes[static_cast<std::size_t>(type)];
}

/// What elements are accumulated in: 16-bit floats in float32, others in themselves.
constexpr ElementType accumulator_of(ElementType type) {
  const bool half = type == ElementType::bfloat16 || type == ElementType::float16;
  return half ? ElementType::float32 : type;
}

constexpr const char* name_of(ElementType type) {
  constexpr const char* kNames[kElementTypes] = {"float32", "float64", "bfloat16",
                                                 "float16", "int32",   "int64"};
  return kNames[static_cast<std::size_t>(type)];
}

constexpr const char* name_of(ReduceOperator op) {
  constexpr const char* kNames[kReduceOperators] = {"sum", "product", "minimum", "maximum"};
  return kNames[static_cast<std::size_t>(op)];
}

template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, BFloat16> ||
    std::same_as<T, Float16> || std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t>;

template <Element T>
constexpr ElementType element_type_of() {
  if constexpr (std::same_as<T, float>) return ElementType::float32;
  if constexpr (std::same_as<T, double>) return ElementType::float64;
  if constexpr (std::same_as<T, BFloat16>) return ElementType::bfloat16;
  if constexpr (std::same_as<T, Float16>) return ElementType::float16;
  if constexpr (std::same_as<T, std::int32_t>) return ElementType::int32;
  if constexpr (std::same_as<T, std::int64_t>) return ElementType::int64;
}

}  // namespace ds::kernels
