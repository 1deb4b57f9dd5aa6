#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "storage/dataset/array_file.hpp"

namespace ds::storage {
namespace {

struct NumberName {
  std::string_view name;
  Number number;
  std::size_t bytes;
};

constexpr std::array<NumberName, 11> kNumbers{{{"uint8", Number::uint8, 1},
                                               {"int8", Number::int8, 1},
                                               {"uint16", Number::uint16, 2},
                                               {"int16", Number::int16, 2},
                                               {"uint32", Number::uint32, 4},
                                               {"int32", Number::int32, 4},
                                               {"uint64", Number::uint64, 8},
                                               {"int64", Number::int64, 8},
                                               {"float32", Number::float32, 4},
                                               {"float64", Number::float64, 8},
                                               {"bool", Number::boolean, 1}}};

/// Calls `take` with each number. Unrolled by the compiler where the machine's order is the file's.
template <class T, class Take>
void for_each(std::string_view bytes, bool big_endian, std::size_t count, Take&& take) {
  const bool swap = big_endian != (std::endian::native == std::endian::big);
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, sizeof(T)> one;
    std::memcpy(one.data(), bytes.data() + i * sizeof(T), sizeof(T));
    if (swap) {
      for (std::size_t k = 0; k < sizeof(T) / 2; ++k) std::swap(one[k], one[sizeof(T) - 1 - k]);
    }
    take(i, std::bit_cast<T>(one));
  }
}

template <class Take>
void visit_numbers(std::string_view bytes, Number number, bool big_endian, std::size_t count, Take&& take) {
  switch (number) {
    case Number::uint8:
    case Number::boolean:
      return for_each<std::uint8_t>(bytes, big_endian, count, take);
    case Number::int8:
      return for_each<std::int8_t>(bytes, big_endian, count, take);
    case Number::uint16:
      return for_each<std::uint16_t>(bytes, big_endian, count, take);
    case Number::int16:
      return for_each<std::int16_t>(bytes, big_endian, count, take);
    case Number::uint32:
      return for_each<std::uint32_t>(bytes, big_endian, count, take);
    case Number::int32:
      return for_each<std::int32_t>(bytes, big_endian, count, take);
    case Number::uint64:
      return for_each<std::uint64_t>(bytes, big_endian, count, take);
    case Number::int64:
      return for_each<std::int64_t>(bytes, big_endian, count, take);
    case Number::float32:
      return for_each<float>(bytes, big_endian, count, take);
    case Number::float64:
      return for_each<double>(bytes, big_endian, count, take);
  }
}

}  // namespace

std::size_t bytes_of(Number number) {
  return kNumbers[static_cast<std::size_t>(number)].bytes;
}

bool is_whole(Number number) {
  return number != Number::float32 && number != Number::float64;
}

std::optional<Number> number_of_name(std::string_view name) {
  for (const NumberName& known : kNumbers) {
    if (known.name == name) return known.number;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> count_of(std::span<const std::uint64_t> shape, std::size_t first) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  std::uint64_t count = 1;
  for (std::size_t i = first; i < shape.size(); ++i) {
    if (shape[i] != 0 && count > kMost / shape[i]) return std::nullopt;
    count *= shape[i];
  }
  return count;
}

void convert_numbers(std::string_view bytes, Number number, bool big_endian, std::span<float> out) {
  visit_numbers(bytes, number, big_endian, out.size(),
                [&](std::size_t i, auto value) { out[i] = static_cast<float>(value); });
}

bool convert_numbers(std::string_view bytes, Number number, bool big_endian, std::span<std::int64_t> out) {
  bool fits = true;
  visit_numbers(bytes, number, big_endian, out.size(), [&](std::size_t i, auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      const bool whole = std::trunc(value) == value && std::abs(value) < decltype(value)(1LL << 53);
      fits = fits && whole;
      out[i] = whole ? static_cast<std::int64_t>(value) : 0;
    } else {
      if constexpr (std::is_same_v<decltype(value), std::uint64_t>) fits = fits && value <= INT64_MAX;
      out[i] = static_cast<std::int64_t>(value);
    }
  });
  return fits;
}

}  // namespace ds::storage
