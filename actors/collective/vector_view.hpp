#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

#include "kernels/element_type.hpp"

namespace ds::collective {

using kernels::BFloat16;
using kernels::ElementType;
using kernels::Float16;
using kernels::ReduceOperator;

template <class Range>
concept ElementRange = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
    kernels::Element<std::ranges::range_value_t<Range>>;

/// Elements that lie one after another and are only read. Owns nothing; `data` may be null when empty, and is
/// aligned as its element type.
struct ConstVector {
  const void* data = nullptr;
  std::size_t elements = 0;
  ElementType type = ElementType::float32;

  ConstVector() = default;
  ConstVector(const void* first, std::size_t count, ElementType of)
      : data(first), elements(count), type(of) {}
  template <ElementRange Range>
  ConstVector(const Range& range)  // NOLINT(google-explicit-constructor): a view, like std::span
      : ConstVector(std::ranges::data(range), std::ranges::size(range),
                    kernels::element_type_of<std::ranges::range_value_t<Range>>()) {}

  std::size_t bytes() const { return elements * kernels::size_of(type); }
};

/// Elements that lie one after another and are written.
struct Vector {
  void* data = nullptr;
  std::size_t elements = 0;
  ElementType type = ElementType::float32;

  Vector() = default;
  Vector(void* first, std::size_t count, ElementType of) : data(first), elements(count), type(of) {}
  template <ElementRange Range>
  requires(!std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<Range>>>)
      // A view, no range itself.
      // NOLINTNEXTLINE(bugprone-forwarding-reference-overload)
      Vector(Range&& range)
      : Vector(std::ranges::data(range), std::ranges::size(range),
               kernels::element_type_of<std::ranges::range_value_t<Range>>()) {}

  std::size_t bytes() const { return elements * kernels::size_of(type); }
  operator ConstVector() const { return {data, elements, type}; }  // NOLINT(google-explicit-constructor)
};

}  // namespace ds::collective
