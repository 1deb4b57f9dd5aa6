#pragma once

#include <caf/actor_system_config.hpp>
#include <concepts>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

#include "actors/fabric/buffer_inspect.hpp"
#include "actors/fabric/real.hpp"

namespace ds::fabric {

template <class T>
constexpr bool contains_raw_float();

/// Stands in for a serializer and tells from the types alone whether a raw float is among the fields.
struct FieldTypes {
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;
  template <class... Fields>
  auto operator()(Fields&&...)
      -> std::bool_constant<(contains_raw_float<std::remove_cvref_t<Fields>>() || ...)>;
};

template <class T>
concept HasFields = requires(FieldTypes& f, T& x) {
  { inspect(f, x).value } -> std::convertible_to<bool>;
};

template <class T>
struct TupleHasRawFloat;
template <template <class...> class Tuple, class... Ts>
struct TupleHasRawFloat<Tuple<Ts...>>
    : std::bool_constant<(contains_raw_float<std::remove_cv_t<Ts>>() || ...)> {};

/// Looks through nested structs, containers, pairs, tuples and optionals.
template <class T>
constexpr bool contains_raw_float() {
  if constexpr (std::is_floating_point_v<T>) {
    return true;
  } else if constexpr (HasFields<T>) {
    return decltype(inspect(std::declval<FieldTypes&>(), std::declval<T&>()))::value;
  } else if constexpr (std::ranges::range<T>) {
    return contains_raw_float<std::remove_cvref_t<std::ranges::range_reference_t<T>>>();
  } else if constexpr (requires { std::tuple_size<T>::value; }) {
    return TupleHasRawFloat<T>::value;
  } else if constexpr (requires(T x) {
                         *x;
                         typename T::value_type;
                       }) {
    return contains_raw_float<typename T::value_type>();
  } else {
    return false;
  }
}

/// Registers a message type under a name that every process uses for it.
///
/// Messages are plain structs with equality and `template <class Inspector> auto inspect(Inspector& f, T& x)
/// { return f(x.a, x.b); }`. Raw floats in them do not compile; carry a `ds::Real`.
template <class T>
void add_message(caf::actor_system_config& config, const char* name) {
  static_assert(!contains_raw_float<T>(),
                "a message must not carry a raw float: CAF corrupts some values; use ds::Real");
  config.add_message_type<T>(name);
}

}  // namespace ds::fabric
