#include "actors/data/array_field.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ds::data {
namespace {

constexpr std::uint64_t kMostChannels = 4;
constexpr std::uint64_t kMaxSampleBytes = std::uint64_t{1} << 30;

std::vector<std::int64_t> as_shape(std::span<const std::uint64_t> extents) {
  return {extents.begin(), extents.end()};
}

}  // namespace

Result<ArrayField> ArrayField::make(std::string name, std::vector<Part> parts) {
  ArrayField field;
  field.parts_ = std::move(parts);
  field.plan_.name = std::move(name);
  const storage::ArrayLayout& first = field.parts_.front().layout;
  for (Part& part : field.parts_) {
    const std::span<const std::uint64_t> shape = part.layout.shape;
    if (!std::ranges::equal(shape.subspan(1), std::span(first.shape).subspan(1)) ||
        storage::is_whole(part.layout.number) != storage::is_whole(first.number))
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} holds samples of {}, {} of {}", field.parts_.front().file->name(),
                              fmt::join(std::span(first.shape).subspan(1), "x"), part.file->name(),
                              fmt::join(shape.subspan(1), "x")));
    part.first = field.size_;
    field.size_ += shape[0];
  }
  const auto count = storage::count_of(first.shape, 1);
  if (!count || *count == 0 || *count * storage::bytes_of(first.number) > kMaxSampleBytes)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: samples of {} are empty or larger than {} MiB", field.parts_.front().file->name(),
                    fmt::join(std::span(first.shape).subspan(1), "x"), kMaxSampleBytes >> 20));
  field.count_ = static_cast<std::size_t>(*count);
  auto planned = field.plan_shape();
  if (!planned) return tl::unexpected(planned.error());
  return field;
}

Result<void> ArrayField::plan_shape() {
  const storage::ArrayLayout& layout = parts_.front().layout;
  const std::span<const std::uint64_t> extents = std::span(layout.shape).subspan(1);
  if (plan_.name.empty()) plan_.name = extents.size() < 2 ? "features" : "image";
  plan_.shape = as_shape(extents);
  plan_.form = Form::numbers;
  if (plan_.name == "label") {
    if (storage::is_whole(layout.number)) {
      plan_.form = Form::whole;
      if (count_ == 1) plan_.shape.clear();
    }
    return {};
  }
  if (extents.empty()) plan_.shape = {1};
  if (plan_.name != "image") return {};
  if (extents.size() < 2 || extents.size() > 4)
    return fail(ErrorCode::invalid_argument, fmt::format("{}: an image has 2 to 4 dimensions, not {}",
                                                         parts_.front().file->name(), extents.size()));
  scales_ = layout.number == storage::Number::uint8;
  const bool has_channels = extents.size() == 4 || (extents.size() == 3 && extents[0] <= kMostChannels);
  if (extents.size() == 3 && !has_channels && extents[2] <= kMostChannels && extents[2] != 2) {
    order_ = Order::channels_last;
    plan_.shape = {plan_.shape[2], plan_.shape[0], plan_.shape[1]};
  } else if (!has_channels) {
    plan_.shape.insert(plan_.shape.begin(), 1);
  }
  return {};
}

std::size_t ArrayField::part_of(std::uint64_t record) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(parts_, record, {}, &Part::first) -
                                  parts_.begin()) -
         1;
}

std::string ArrayField::place_of(std::uint64_t record) const {
  const Part& part = parts_[part_of(record)];
  return fmt::format("{} record {}", part.file->name(), record - part.first);
}

Result<void> ArrayField::read(std::uint64_t record, storage::FilePin& pin, Value& value) const {
  const Part& part = parts_[part_of(record)];
  const std::size_t bytes = count_ * storage::bytes_of(part.layout.number);
  const auto stored = part.file->view(part.layout.data_offset + (record - part.first) * bytes, bytes, pin);
  if (!stored) return tl::unexpected(stored.error());
  value.form = plan_.form;
  value.shape = plan_.shape;
  value.has_pixels = false;
  if (plan_.form == Form::whole) {
    value.whole.resize(count_);
    if (!storage::convert_numbers(*stored, part.layout.number, part.layout.big_endian,
                                  std::span(value.whole)))
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: a label that is no whole number of 64 bits", place_of(record)));
    return {};
  }
  const bool lies_as_pixels = order_ == Order::channels_last || plan_.shape[0] == 1;
  if (scales_ && lies_as_pixels && plan_.shape.size() == 3) {
    value.pixels.resize(stored->size());
    std::memcpy(value.pixels.data(), stored->data(), stored->size());
    value.has_pixels = true;
    return {};
  }
  value.numbers.resize(count_);
  std::vector<float>& read_to = order_ == Order::channels_last ? value.spare : value.numbers;
  read_to.resize(count_);
  storage::convert_numbers(*stored, part.layout.number, part.layout.big_endian, std::span(read_to));
  if (order_ == Order::channels_last) {
    const auto channels = static_cast<std::size_t>(plan_.shape[0]);
    const std::size_t plane = count_ / channels;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < plane; ++i) value.numbers[c * plane + i] = value.spare[i * channels + c];
    }
  }
  if (scales_) {
    for (float& number : value.numbers) number *= 1.0F / 255;
  }
  return {};
}

}  // namespace ds::data
