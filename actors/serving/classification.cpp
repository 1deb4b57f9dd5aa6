#include "actors/serving/classification.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/tensor_json.hpp"
#include "kernels/half_bits.hpp"

namespace ds::serving {
namespace {

template <class T>
bool is_before(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  }
  return a > b;
}

template <class T>
std::string format_value(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "1" : "0";
  } else {
    char text[40];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }
}

/// Appends the best of one row. `read(i)` gives its value `i`.
template <class Read>
void append_best(std::string& out, std::size_t row, std::size_t classes, std::span<const std::string> labels,
                 const Read& read) {
  std::vector<std::size_t> order(row);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(classes);
  std::partial_sort(order.begin(), middle, order.end(), [&](std::size_t a, std::size_t b) {
    const auto left = read(a);
    const auto right = read(b);
    if (is_before(left, right)) return true;
    return !is_before(right, left) && a < b;
  });
  for (auto it = order.begin(); it != middle; ++it) {
    std::string element = fmt::format("{}:{}", format_value(read(*it)), *it);
    if (*it < labels.size()) element += ":" + labels[*it];
    append_byte_element(out, element);
  }
}

/// Calls `use` with a function that reads value `i` of the tensor.
template <class Use>
void with_reader(const Tensor& tensor, const Use& use) {
  const std::byte* const bytes = tensor.bytes.bytes().data();
  const auto load = [bytes]<class T>(T, std::size_t i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof value, sizeof value);
    return value;
  };
  const auto plain = [&]<class T>(T zero) { use([&load, zero](std::size_t i) { return load(zero, i); }); };
  switch (tensor.datatype) {
    case Datatype::boolean:
    case Datatype::uint8:
      return plain(std::uint8_t{});
    case Datatype::uint16:
      return plain(std::uint16_t{});
    case Datatype::uint32:
      return plain(std::uint32_t{});
    case Datatype::uint64:
      return plain(std::uint64_t{});
    case Datatype::int8:
      return plain(std::int8_t{});
    case Datatype::int16:
      return plain(std::int16_t{});
    case Datatype::int32:
      return plain(std::int32_t{});
    case Datatype::int64:
      return plain(std::int64_t{});
    case Datatype::fp32:
      return plain(float{});
    case Datatype::fp64:
      return plain(double{});
    case Datatype::fp16:
      return use(
          [&load](std::size_t i) { return kernels::to_float(kernels::Float16{load(std::uint16_t{}, i)}); });
    case Datatype::bf16:
      return use(
          [&load](std::size_t i) { return kernels::to_float(kernels::BFloat16{load(std::uint16_t{}, i)}); });
    case Datatype::bytes:
      break;
  }
}

}  // namespace

Result<Tensor> classify(const Tensor& scores, std::uint32_t classes, std::span<const std::string> labels) {
  if (scores.datatype == Datatype::bytes)
    return fail(ErrorCode::invalid_argument,
                fmt::format("output '{}' is BYTES, which has no classes", scores.name),
                "ask for it without 'classification'");
  if (const std::string fault = find_fault(scores); !fault.empty())
    return fail(ErrorCode::internal, fmt::format("output '{}': {}", scores.name, fault));
  const std::uint64_t values = *count_elements(scores.shape);
  const bool has_batch = scores.shape.size() > 1;
  const std::uint64_t rows = has_batch ? static_cast<std::uint64_t>(scores.shape[0]) : 1;
  const std::uint64_t row = rows == 0 ? 0 : values / rows;
  const std::uint64_t best = std::min<std::uint64_t>(classes, row);
  Tensor out{scores.name, Datatype::bytes, {static_cast<std::int64_t>(best)}, {}};
  if (has_batch) out.shape.insert(out.shape.begin(), scores.shape[0]);
  const auto text = std::make_shared<std::string>();
  with_reader(scores, [&](const auto& read) {
    for (std::uint64_t r = 0; r < rows && best > 0; ++r)
      append_best(*text, row, best, labels, [&](std::size_t i) { return read(r * row + i); });
  });
  out.bytes = Buffer(text, std::as_bytes(std::span(*text)));
  return out;
}

}  // namespace ds::serving
