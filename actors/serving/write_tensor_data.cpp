#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/json_text.hpp"
#include "actors/serving/tensor_json.hpp"

namespace ds::serving {
namespace {

/// Writes one value into `out`, which has room for it; the end of what it wrote.
template <class T>
char* write_value(char* out, char* end, T value) {
  const auto copy = [&](std::string_view text) { return std::copy(text.begin(), text.end(), out); };
  if constexpr (std::is_same_v<T, bool>) {
    return copy(value ? "true" : "false");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return copy("NaN");
    if (std::isinf(value)) return copy(value < 0 ? "-Infinity" : "Infinity");
    // "-0" is an integer to many parsers, and those have no negative zero.
    if (value == 0 && std::signbit(value)) return copy("-0.0");
  }
  if constexpr (!std::is_same_v<T, bool>) return std::to_chars(out, end, value).ptr;
}

template <class T>
void append_values(std::string& out, std::span<const std::byte> bytes) {
  constexpr std::size_t kLongest = 32;  // a double takes 24, and its comma
  constexpr std::size_t kBlock = 8192;
  char block[kBlock];
  char* at = block;
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    T value;
    if constexpr (std::is_same_v<T, bool>) {
      value = bytes[i] != std::byte{0};
    } else {
      std::memcpy(&value, bytes.data() + i, sizeof value);
    }
    if (i > 0) *at++ = ',';
    at = write_value(at, block + kBlock, value);
    if (at + kLongest > block + kBlock) {
      out.append(block, at);
      at = block;
    }
  }
  out.append(block, at);
}

Result<void> append_texts(std::string& out, const Tensor& tensor) {
  ByteElements elements(tensor.bytes.bytes());
  bool is_first = true;
  while (const auto element = elements.next()) {
    if (!is_first) out += ',';
    is_first = false;
    if (!append_json_string(out, *element))
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("output '{}' holds bytes that are no UTF-8 and cannot be given as JSON", tensor.name),
          "ask for this output as binary: \"parameters\": {\"binary_data\": true}");
  }
  return {};
}

}  // namespace

std::string find_fault(const Tensor& tensor) {
  const auto count = count_elements(tensor.shape);
  if (!count) return "its shape is no valid one";
  if (tensor.datatype == Datatype::bytes) return find_fault_in_elements(tensor.bytes.bytes(), *count);
  const std::uint64_t size = size_of(tensor.datatype);
  const bool is_right =
      *count <= std::numeric_limits<std::uint64_t>::max() / size && *count * size == tensor.bytes.size();
  if (is_right && tensor.datatype == Datatype::boolean) {
    const auto bytes = tensor.bytes.bytes();
    const auto found =
        std::find_if(bytes.begin(), bytes.end(), [](std::byte byte) { return byte > std::byte{1}; });
    if (found == bytes.end()) return {};
    return fmt::format("its byte {} is {}, a BOOL is 0 or 1", found - bytes.begin(),
                       std::to_integer<int>(*found));
  }
  if (is_right) return {};
  return fmt::format("it has {} bytes, but {} values of {} take {} each", tensor.bytes.size(), *count,
                     to_string(tensor.datatype), size);
}

Result<void> append_tensor_data(std::string& out, const Tensor& tensor) {
  if (const std::string fault = find_fault(tensor); !fault.empty())
    return fail(ErrorCode::internal, fmt::format("output '{}': {}", tensor.name, fault));
  const auto bytes = tensor.bytes.bytes();
  Result<void> result;
  out += '[';
  switch (tensor.datatype) {
    case Datatype::boolean:
      append_values<bool>(out, bytes);
      break;
    case Datatype::uint8:
      append_values<std::uint8_t>(out, bytes);
      break;
    case Datatype::uint16:
      append_values<std::uint16_t>(out, bytes);
      break;
    case Datatype::uint32:
      append_values<std::uint32_t>(out, bytes);
      break;
    case Datatype::uint64:
      append_values<std::uint64_t>(out, bytes);
      break;
    case Datatype::int8:
      append_values<std::int8_t>(out, bytes);
      break;
    case Datatype::int16:
      append_values<std::int16_t>(out, bytes);
      break;
    case Datatype::int32:
      append_values<std::int32_t>(out, bytes);
      break;
    case Datatype::int64:
      append_values<std::int64_t>(out, bytes);
      break;
    case Datatype::fp32:
      append_values<float>(out, bytes);
      break;
    case Datatype::fp64:
      append_values<double>(out, bytes);
      break;
    case Datatype::bytes:
      result = append_texts(out, tensor);
      break;
    case Datatype::fp16:
    case Datatype::bf16:
      result = fail(
          ErrorCode::invalid_argument,
          fmt::format("output '{}' is {}, which has no JSON form", tensor.name, to_string(tensor.datatype)),
          "ask for this output as binary: \"parameters\": {\"binary_data\": true}");
      break;
  }
  out += ']';
  return result;
}

}  // namespace ds::serving
