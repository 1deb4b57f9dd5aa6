#include "actors/serving/padding.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kernels/half_bits.hpp"

namespace ds::serving {
namespace {

using Element = std::array<std::byte, 8>;

constexpr const char* kWhere = "batching.padding";
constexpr double kLargestHalf = 65504;

tl::unexpected<Error> refuse(std::string problem, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, std::move(problem), std::move(hint));
}

template <class Number>
Element element_from(Number number) {
  Element element{};
  std::memcpy(element.data(), &number, sizeof number);
  return element;
}

template <class Whole>
std::optional<Element> whole_element(double value) {
  constexpr double kAbove =
      2.0 * static_cast<double>(std::uint64_t{1} << (std::numeric_limits<Whole>::digits - 1));
  const double least = std::is_signed_v<Whole> ? -kAbove : 0;
  if (value != std::trunc(value) || value < least || value >= kAbove) return std::nullopt;
  return element_from(static_cast<Whole>(value));
}

/// Runs of elements along a dimension.
struct Runs {
  std::size_t count = 1;  ///< of them
  std::size_t bytes = 1;  ///< of one step along the dimension
};

Runs runs_of(const Tensor& tensor, std::size_t dimension) {
  Runs runs{1, size_of(tensor.datatype)};
  for (std::size_t i = 0; i < dimension; ++i) runs.count *= static_cast<std::size_t>(tensor.shape[i]);
  for (std::size_t i = dimension + 1; i < tensor.shape.size(); ++i)
    runs.bytes *= static_cast<std::size_t>(tensor.shape[i]);
  return runs;
}

const Tensor* find_named(std::span<const Tensor> all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &Tensor::name);
  return found == all.end() ? nullptr : &*found;
}

std::optional<std::size_t> place_of(std::span<const TensorSpec> specs, std::string_view name) {
  const auto found = std::ranges::find(specs, name, &TensorSpec::name);
  if (found == specs.end()) return std::nullopt;
  return static_cast<std::size_t>(found - specs.begin());
}

/// Of -1, the batch aside.
std::vector<std::size_t> variable_sizes(const TensorSpec& spec) {
  std::vector<std::size_t> found;
  for (std::size_t i = 1; i < spec.shape.size(); ++i) {
    if (spec.shape[i] < 0) found.push_back(i);
  }
  return found;
}

}  // namespace

std::optional<Element> element_of(Datatype type, double value) {
  if (!std::isfinite(value)) return std::nullopt;
  const double size = std::fabs(value);
  switch (type) {
    case Datatype::boolean:
      if (value != 0 && value != 1) return std::nullopt;
      return element_from(static_cast<std::uint8_t>(value));
    case Datatype::uint8:
      return whole_element<std::uint8_t>(value);
    case Datatype::uint16:
      return whole_element<std::uint16_t>(value);
    case Datatype::uint32:
      return whole_element<std::uint32_t>(value);
    case Datatype::uint64:
      return whole_element<std::uint64_t>(value);
    case Datatype::int8:
      return whole_element<std::int8_t>(value);
    case Datatype::int16:
      return whole_element<std::int16_t>(value);
    case Datatype::int32:
      return whole_element<std::int32_t>(value);
    case Datatype::int64:
      return whole_element<std::int64_t>(value);
    case Datatype::fp16:
      if (size > kLargestHalf) return std::nullopt;
      return element_from(kernels::to_float16_bits(static_cast<float>(value)));
    case Datatype::bf16:
      if (size > 3e38) return std::nullopt;  // rounds to no infinity
      return element_from(kernels::to_bfloat16_bits(static_cast<float>(value)));
    case Datatype::fp32:
      if (size > std::numeric_limits<float>::max()) return std::nullopt;
      return element_from(static_cast<float>(value));
    case Datatype::fp64:
      return element_from(value);
    case Datatype::bytes:
      break;
  }
  return std::nullopt;
}

Result<void> check_buckets(std::span<const Buckets> buckets) {
  if (buckets.empty()) return refuse(fmt::format("{}.buckets: there are none", kWhere));
  std::size_t shapes = 1;
  for (const Buckets& one : buckets) {
    if (one.empty() || one.front() < 1 ||
        std::ranges::adjacent_find(one, std::greater_equal<>()) != one.end())
      return refuse(
          fmt::format("{}.buckets: lengths are from 1 and ascend: [{}]", kWhere, fmt::join(one, ", ")));
    shapes *= std::min(one.size(), kMostPaddedShapes + 1);
    if (shapes > kMostPaddedShapes) {
      return refuse(fmt::format("{}.buckets: they make more than {} shapes, each of which would be tried",
                                kWhere, kMostPaddedShapes));
    }
  }
  return {};
}

Result<Padding> plan_padding(const PaddingWish& wish, std::span<const TensorSpec> inputs,
                             std::span<const TensorSpec> outputs) {
  if (const auto right = check_buckets(wish.buckets); !right) return tl::unexpected(right.error());
  Padding padding{wish.buckets, {}, {}};
  for (const auto& [name, value] : wish.values) {
    const auto place = place_of(inputs, name);
    if (!place || variable_sizes(inputs[*place]).empty())
      return refuse(fmt::format("{}.value: the model has no input {} of a variable size", kWhere, name));
  }
  std::size_t most = 0;
  for (std::size_t place = 0; place < inputs.size(); ++place) {
    const TensorSpec& input = inputs[place];
    auto sizes = variable_sizes(input);
    if (sizes.empty()) continue;
    if (sizes.size() > wish.buckets.size()) {
      return refuse(
          fmt::format("{}: input {} has {} variable sizes besides the batch, and there are {} lists of "
                      "buckets",
                      kWhere, input.name, sizes.size(), wish.buckets.size()),
          "say a list for each size: buckets: [[32, 64], [32, 64]]");
    }
    most = std::max(most, sizes.size());
    const auto own = wish.values.find(input.name);
    const double value = own == wish.values.end() ? wish.value : own->second;
    if (!element_of(input.datatype, value)) {
      return refuse(fmt::format("{}.value: {} is no {}, which input {} has", kWhere, value,
                                to_string(input.datatype), input.name));
    }
    std::vector<std::int64_t> largest = input.shape;
    largest.front() = 1;
    for (std::size_t k = 0; k < sizes.size(); ++k) largest[sizes[k]] = wish.buckets[k].back();
    const auto elements = count_elements(largest);
    if (!elements || *elements > kMostPaddedBytes / size_of(input.datatype)) {
      return refuse(fmt::format("{}.buckets: one row of input {} would have more than {} bytes: [{}]", kWhere,
                                input.name, kMostPaddedBytes, fmt::join(largest, ",")));
    }
    padding.inputs.push_back({place, std::move(sizes), value});
  }
  if (padding.inputs.empty())
    return refuse(fmt::format("{}: no input of the model has a variable size besides the batch", kWhere),
                  "model.inputs may say so: shape: [-1, -1]");
  if (most < wish.buckets.size()) {
    return refuse(
        fmt::format("{}.buckets: there are {} lists, and no input has more than {} variable sizes "
                    "besides the batch",
                    kWhere, wish.buckets.size(), most));
  }
  for (const std::string& name : wish.cut) {
    const auto place = place_of(outputs, name);
    if (!place) return refuse(fmt::format("{}.cut: the model has no output {}", kWhere, name));
    padding.outputs.push_back({*place, {}, {}});
  }
  return padding;
}

std::int64_t bucket_of(std::span<const std::int64_t> buckets, std::int64_t length) {
  const auto found = std::ranges::lower_bound(buckets, length);
  return found == buckets.end() ? 0 : *found;
}

namespace {

/// Of an input that fits, with the shape that it would be padded to.
Result<std::vector<std::int64_t>> padded_shape(const Padding& padding, const Padding::Input& one,
                                               const Tensor& input) {
  std::vector<std::int64_t> shape = input.shape;
  for (std::size_t k = 0; k < one.dimensions.size(); ++k) {
    const std::size_t dimension = one.dimensions[k];
    const std::int64_t length = input.shape[dimension];
    const auto where = one.dimensions.size() == 1 ? "" : fmt::format(" in dimension {}", dimension);
    if (length == 0)
      return refuse(fmt::format("input '{}' has no elements: its length is 0{}", input.name, where));
    shape[dimension] = bucket_of(padding.buckets[k], length);
    if (shape[dimension] == 0) {
      return refuse(fmt::format("input '{}' has the length {}{}, and {} is the longest that the model takes",
                                input.name, length, where, padding.buckets[k].back()));
    }
  }
  const auto elements = count_elements(shape);
  if (!elements || *elements > kMostPaddedBytes / size_of(input.datatype)) {
    return refuse(fmt::format("input '{}' would have more than {} bytes once it is padded to [{}]",
                              input.name, kMostPaddedBytes, fmt::join(shape, ",")),
                  "ask for fewer rows at a time");
  }
  return shape;
}

}  // namespace

Result<void> check_lengths(const Padding& padding, std::span<const TensorSpec> inputs,
                           std::span<const Tensor> given) {
  std::vector<const Tensor*> first(padding.buckets.size(), nullptr);
  std::vector<std::int64_t> lengths(padding.buckets.size(), 0);
  for (const Padding::Input& one : padding.inputs) {
    const Tensor* input = find_named(given, inputs[one.place].name);
    if (input == nullptr) continue;
    if (const auto shape = padded_shape(padding, one, *input); !shape) return tl::unexpected(shape.error());
    for (std::size_t k = 0; k < one.dimensions.size(); ++k) {
      const std::int64_t length = input->shape[one.dimensions[k]];
      if (first[k] == nullptr) first[k] = input, lengths[k] = length;
      if (length != lengths[k]) {
        return refuse(
            fmt::format("inputs '{}' and '{}' have the lengths {} and {}: those that are padded "
                        "have to be equally long",
                        first[k]->name, input->name, lengths[k], length));
      }
    }
  }
  return {};
}

std::vector<TensorSpec> cut_specs(const Padding& padding, std::vector<TensorSpec> outputs) {
  for (const Padding::Output& one : padding.outputs) {
    for (const std::size_t dimension : one.dimensions) outputs.at(one.place).shape.at(dimension) = -1;
  }
  return outputs;
}

std::uint64_t shape_key(std::span<const std::span<const std::int64_t>> shapes, const Padding* padding) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, 64 bits at a time
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3ULL; };
  auto next = padding == nullptr ? std::span<const Padding::Input>() : std::span(padding->inputs);
  for (std::size_t place = 0; place < shapes.size(); ++place) {
    const auto shape = shapes[place];
    const bool is_padded = !next.empty() && next.front().place == place;
    mix(shape.size());
    std::size_t k = 0;  // the next length
    for (std::size_t i = 1; i < shape.size(); ++i) {
      const bool is_length =
          is_padded && k < next.front().dimensions.size() && next.front().dimensions[k] == i;
      mix(static_cast<std::uint64_t>(is_length ? bucket_of(padding->buckets[k++], shape[i]) : shape[i]));
    }
    if (is_padded) next = next.subspan(1);
  }
  return hash;
}

PaddedElements pad_inputs(const Padding& padding, std::vector<Tensor>& inputs) {
  PaddedElements all;
  for (const Padding::Input& one : padding.inputs) {
    Tensor& input = inputs.at(one.place);
    const auto real = count_elements(input.shape).value_or(0);
    all.real += real;
    for (std::size_t k = 0; k < one.dimensions.size(); ++k) {
      const std::size_t dimension = one.dimensions[k];
      const std::int64_t bucket = bucket_of(padding.buckets[k], input.shape.at(dimension));
      if (bucket == 0 || bucket == input.shape[dimension]) continue;
      input = pad(input, dimension, bucket, one.value);
    }
    all.padding += count_elements(input.shape).value_or(real) - real;
  }
  return all;
}

std::vector<std::int64_t> lengths_of(const Padding& padding, std::span<const Tensor> inputs) {
  std::vector<std::int64_t> lengths(padding.buckets.size(), 0);
  for (const Padding::Input& one : padding.inputs) {
    for (std::size_t k = 0; k < one.dimensions.size(); ++k)
      lengths[k] = inputs[one.place].shape.at(one.dimensions[k]);
  }
  return lengths;
}

void cut_outputs(const Padding& padding, std::span<const std::int64_t> lengths,
                 std::vector<Tensor>& outputs) {
  for (const Padding::Output& one : padding.outputs) {
    Tensor& output = outputs.at(one.place);
    for (std::size_t i = 0; i < one.dimensions.size(); ++i) {
      const std::size_t dimension = one.dimensions[i];
      const std::int64_t length = lengths[one.lengths[i]];
      if (dimension < output.shape.size() && output.shape[dimension] > length)
        output = cut(output, dimension, length);
    }
  }
}

Tensor pad(const Tensor& tensor, std::size_t dimension, std::int64_t length, double value) {
  const Runs runs = runs_of(tensor, dimension);
  const std::size_t own = runs.bytes * static_cast<std::size_t>(tensor.shape[dimension]);
  const std::size_t whole = runs.bytes * static_cast<std::size_t>(length);
  const Element element = *element_of(tensor.datatype, value);
  const std::size_t size = size_of(tensor.datatype);
  Tensor padded{tensor.name, tensor.datatype, tensor.shape, {}};
  padded.shape[dimension] = length;
  padded.bytes = Buffer::make(runs.count * whole, [&](std::span<std::byte> out) {
    for (std::size_t i = 0; i < runs.count; ++i) {
      std::byte* run = out.data() + i * whole;
      if (own > 0) std::memcpy(run, tensor.bytes.bytes().data() + i * own, own);
      for (std::size_t at = own; at < whole; at += size) std::memcpy(run + at, element.data(), size);
    }
  });
  return padded;
}

Tensor cut(const Tensor& tensor, std::size_t dimension, std::int64_t length) {
  const Runs runs = runs_of(tensor, dimension);
  const std::size_t own = runs.bytes * static_cast<std::size_t>(tensor.shape[dimension]);
  const std::size_t kept = runs.bytes * static_cast<std::size_t>(length);
  Tensor part{tensor.name, tensor.datatype, tensor.shape, {}};
  part.shape[dimension] = length;
  part.bytes = Buffer::make(runs.count * kept, [&](std::span<std::byte> out) {
    for (std::size_t i = 0; kept > 0 && i < runs.count; ++i)
      std::memcpy(out.data() + i * kept, tensor.bytes.bytes().data() + i * own, kept);
  });
  return part;
}

}  // namespace ds::serving
