#pragma once

#include <bit>
#include <cstdint>

#include "kernels/element_type.hpp"

namespace ds::kernels {

// The one definition of these conversions, for processors and GPUs: convert.hpp is their contract, and loops
// over vectors. Pure; nothing but exact or correctly rounded float operations.
//
// All without branches, so that loops over them become vector code. What a condition does not choose is
// computed too and may be nonsense.

constexpr float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16U);
}

constexpr float to_float(Float16 value) {
  const std::uint32_t sign = (value.bits & 0x8000U) << 16U;
  const std::uint32_t magnitude = value.bits & 0x7FFFU;
  const std::uint32_t normal = (magnitude << 13U) + (112U << 23U);
  // The signed detour is what the processor can convert.
  const auto tiny =
      std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24F);
  const std::uint32_t quiet = magnitude > 0x7C00U ? 0x400000U : 0U;
  const std::uint32_t special = (magnitude << 13U) | 0x7F800000U | quiet;
  const std::uint32_t finite = magnitude < 0x400U ? tiny : normal;
  return std::bit_cast<float>(sign | (magnitude >= 0x7C00U ? special : finite));
}

constexpr std::uint16_t to_bfloat16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  const std::uint32_t not_a_number = (bits >> 16U) | 0x40U;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? not_a_number : rounded);
}

constexpr std::uint16_t to_float16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const std::uint32_t normal = (magnitude + 0xFFFU + ((magnitude >> 13U) & 1U) - (112U << 23U)) >> 13U;
  // The last bit of a half is 2^-24, that of a subnormal binary16: so the addition rounds as it should.
  const std::uint32_t tiny = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) -
                             std::bit_cast<std::uint32_t>(0.5F);
  const std::uint32_t finite = magnitude < 0x38800000U ? tiny : normal;
  const std::uint32_t bounded = magnitude >= 0x477FF000U ? 0x7C00U : finite;
  const std::uint32_t not_a_number = 0x7E00U | ((magnitude >> 13U) & 0x3FFU);
  return static_cast<std::uint16_t>(sign | (magnitude > 0x7F800000U ? not_a_number : bounded));
}

}  // namespace ds::kernels
