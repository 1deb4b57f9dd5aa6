#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/json_text.hpp"
#include "actors/serving/tensor_json.hpp"

namespace ds::serving {
namespace {

/// Whether a number whose value from_chars could not give is too small for it, not too large: its first digit
/// that is not zero stands, exponent included, behind the point.
bool is_tiny(std::string_view number) {
  const std::size_t e = number.find_first_of("eE");
  const std::string_view digits = number.substr(0, e);
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view text = number.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    if (std::from_chars(text.data(), text.data() + text.size(), exponent).ec != std::errc())
      return text.starts_with('-');
    constexpr std::int64_t kFar = std::int64_t{1} << 60;  // keeps the sums below from overflowing
    exponent = std::clamp(exponent, -kFar, kFar);
  }
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const auto point = static_cast<std::int64_t>(std::min(digits.find('.'), digits.size()));
  const auto place = static_cast<std::int64_t>(first);
  return point - place - (place < point ? 1 : 0) < -exponent;
}

template <class Float>
bool parse_float(std::string_view text, Float& out) {
  if (text == "NaN") {
    out = std::numeric_limits<Float>::quiet_NaN();
    return true;
  }
  if (text.ends_with("Infinity")) {
    out = text[0] == '-' ? -std::numeric_limits<Float>::infinity() : std::numeric_limits<Float>::infinity();
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc()) return std::isfinite(out);
  if (error != std::errc::result_out_of_range || !is_tiny(text)) return false;
  out = text[0] == '-' ? Float(-0.0) : Float(0);
  return true;
}

/// Fills a buffer with values of a type that has a fixed size.
template <class T>
class Values {
 public:
  explicit Values(std::span<std::byte> out) : out_(out) {}

  bool is_full() const { return out_.empty(); }
  std::size_t left() const { return out_.size() / sizeof(T); }

  bool read(JsonReader& reader, const Tensor& tensor) {
    T value{};
    if (!read_value(reader, tensor, value)) return false;
    std::memcpy(out_.data(), &value, sizeof value);
    out_ = out_.subspan(sizeof value);
    return true;
  }

 private:
  bool read_value(JsonReader& reader, const Tensor& tensor, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return reader.read_boolean(value);
    } else {
      std::string_view text;
      if (!reader.read_number(text)) return false;
      if constexpr (std::is_floating_point_v<T>) {
        return parse_float(text, value) || refuse(reader, tensor, text, "is out of range");
      } else {
        return parse_integer(reader, tensor, text, value);
      }
    }
  }

  bool parse_integer(JsonReader& reader, const Tensor& tensor, std::string_view text, T& value) {
    const std::string_view digits = text == "-0" ? text.substr(1) : text;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error == std::errc() && stop == end) return true;
    const bool is_whole = digits.find_first_of(".eENI") == std::string_view::npos;
    return refuse(reader, tensor, text, is_whole ? "is out of range" : "is no whole number");
  }

  static bool refuse(JsonReader& reader, const Tensor& tensor, std::string_view text, std::string_view why) {
    return reader.fail_here(fmt::format("value {} of '{}' {} for {}", excerpt(text), tensor.name, why,
                                        to_string(tensor.datatype)));
  }

  std::span<std::byte> out_;
};

/// The elements of a BYTES tensor.
class Texts {
 public:
  explicit Texts(std::uint64_t count) : left_(count) {}

  bool is_full() const { return left_ == 0; }
  std::uint64_t left() const { return left_; }
  bool read(JsonReader& reader, const Tensor&) {
    std::string_view text;
    if (!reader.read_string(text)) return false;
    --left_;
    return append_byte_element(bytes_, text) || reader.fail_here("a string is longer than 4 GiB");
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::uint64_t left_;
  std::string bytes_;
};

/// Reads all of `data` into `sink`, at any nesting, and checks that there are as many values as it takes.
template <class Sink>
bool read_all(JsonReader& reader, const Tensor& tensor, Sink& sink) {
  const std::uint64_t wanted = sink.left();
  const auto read_one = [&] {
    if (sink.is_full())
      return reader.fail_here(
          fmt::format("data of '{}' has more than the {} values of its shape", tensor.name, wanted));
    return sink.read(reader, tensor);
  };
  if (reader.peek() != JsonReader::Kind::array) {
    if (!read_one()) return false;
  } else {
    const std::size_t outside = reader.depth();
    if (!reader.begin_array()) return false;
    while (reader.depth() > outside) {
      if (!reader.next_element()) {
        if (reader.failed()) return false;
      } else if (reader.peek() == JsonReader::Kind::array) {
        if (!reader.begin_array()) return false;
      } else if (!read_one()) {
        return false;
      }
    }
  }
  return sink.is_full() || reader.fail_here(fmt::format("data of '{}' has {} values, its shape {}",
                                                        tensor.name, wanted - sink.left(), wanted));
}

template <class T>
bool read_values(JsonReader& reader, Tensor& tensor, std::uint64_t count) {
  bool ok = false;
  tensor.bytes = Buffer::make(count * sizeof(T), [&](std::span<std::byte> out) {
    Values<T> values(out);
    ok = read_all(reader, tensor, values);
  });
  return ok;
}

bool read_texts(JsonReader& reader, Tensor& tensor, std::uint64_t count) {
  Texts texts(count);
  if (!read_all(reader, tensor, texts)) return false;
  const auto bytes = std::make_shared<const std::string>(texts.take());
  tensor.bytes = Buffer(bytes, std::as_bytes(std::span(*bytes)));
  return true;
}

}  // namespace

bool read_tensor_data(JsonReader& reader, Tensor& tensor) {
  const auto count = count_elements(tensor.shape);
  if (!count) return reader.fail_here(fmt::format("the shape of '{}' is no valid one", tensor.name));
  // Each value takes a byte and a comma at least: a shape that lies costs no memory.
  if (*count > reader.bytes_left() / 2 + 1)
    return reader.fail_here(
        fmt::format("data of '{}' has fewer than the {} values of its shape", tensor.name, *count));
  switch (tensor.datatype) {
    case Datatype::boolean:
      return read_values<bool>(reader, tensor, *count);
    case Datatype::uint8:
      return read_values<std::uint8_t>(reader, tensor, *count);
    case Datatype::uint16:
      return read_values<std::uint16_t>(reader, tensor, *count);
    case Datatype::uint32:
      return read_values<std::uint32_t>(reader, tensor, *count);
    case Datatype::uint64:
      return read_values<std::uint64_t>(reader, tensor, *count);
    case Datatype::int8:
      return read_values<std::int8_t>(reader, tensor, *count);
    case Datatype::int16:
      return read_values<std::int16_t>(reader, tensor, *count);
    case Datatype::int32:
      return read_values<std::int32_t>(reader, tensor, *count);
    case Datatype::int64:
      return read_values<std::int64_t>(reader, tensor, *count);
    case Datatype::fp32:
      return read_values<float>(reader, tensor, *count);
    case Datatype::fp64:
      return read_values<double>(reader, tensor, *count);
    case Datatype::bytes:
      return read_texts(reader, tensor, *count);
    case Datatype::fp16:
    case Datatype::bf16:
      break;
  }
  return reader.fail_here(
      fmt::format("'{}' is {}, which goes only as binary data", tensor.name, to_string(tensor.datatype)));
}

}  // namespace ds::serving
