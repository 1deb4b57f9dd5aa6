#include "actors/parameters/range_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "actors/parameters/update_rule.hpp"
#include "kernels/gradient.hpp"

namespace ds::parameters {
namespace {

constexpr std::size_t kBlock = kernels::kNormBlock;

bool is_plus_zero(std::span<const float> values) {
  std::uint32_t bits = 0;
  for (const float value : values) bits |= std::bit_cast<std::uint32_t>(value);
  return bits == 0;
}

void copy_into(FloatBlock& block, std::size_t elements, const Buffer& from) {
  if (block.values().size() != elements || block.is_lent()) block = FloatBlock(elements);
  if (elements != 0) std::memcpy(block.values().data(), from.bytes().data(), from.size());
}

}  // namespace

RangeVectors::RangeVectors(const ShardOptions& options)
    : elements_(options.range.size()),
      rule_(to_optimizer_options(options.optimizer)),
      names_(state_names(rule_)),
      skips_zeros_(names_.empty() && rule_.weight_decay == 0),
      optimizer_(names_.size()),
      rows_(options.rows, elements_),
      before_(kBlock),
      scaled_(kBlock),
      scratch_(kBlock) {}

Result<void> RangeVectors::restore(const RangeImage& image, std::uint64_t version) {
  const std::size_t bytes = elements_ * sizeof(float);
  const auto fits = [&](const Buffer& buffer) { return buffer.size() == bytes; };
  if (!fits(image.parameters))
    return fail(ErrorCode::invalid_argument,
                fmt::format("the image of a range of {} bytes has {}", bytes, image.parameters.size()));
  if (image.names != names_ || image.optimizer.size() != names_.size() ||
      !std::ranges::all_of(image.optimizer, fits))
    return fail(ErrorCode::invalid_argument, "the image of a range is another optimizer's");
  copy_into(parameters_, elements_, image.parameters);
  for (std::size_t i = 0; i < optimizer_.size(); ++i) copy_into(optimizer_[i], elements_, image.optimizer[i]);
  rows_.set_all(version);
  all_finite_ = !kernels::find_not_finite(parameters_.values());
  return {};
}

void RangeVectors::copy_to(RangeImage& image) const {
  image.parameters = parameters_.copy();
  copy_optimizer_to(image);
}

void RangeVectors::copy_optimizer_to(RangeImage& image) const {
  image.names = names_;
  for (const FloatBlock& block : optimizer_) image.optimizer.push_back(block.copy());
}

void RangeVectors::update(const ReadBlock& gradient, const Step& step) {
  for (std::uint64_t first = 0; first < elements_; first += kBlock) {
    const std::size_t count = std::min<std::uint64_t>(kBlock, elements_ - first);
    const float* values = gradient(first, count, scratch_.data());
    const bool skips = skips_zeros_ && all_finite_;
    if (values == nullptr && !skips) {
      std::ranges::fill(scratch_, 0.0F);
      values = scratch_.data();
    }
    if (values == nullptr || (skips && is_plus_zero({values, count}))) continue;
    update_block(first, {values, count}, step);
  }
}

void RangeVectors::update_block(std::uint64_t first, std::span<const float> gradient, const Step& step) {
  const std::size_t count = gradient.size();
  if (step.factor < 1) {  // the sum itself stays: it may be asked for again
    std::ranges::copy(gradient, scaled_.begin());
    kernels::scale(std::span(scaled_).first(count), step.factor);
    gradient = std::span<const float>(scaled_).first(count);
  }
  const std::span<float> parameters = parameters_.values().subspan(first, count);
  const bool in_table = rows_.touches(first, count);
  if (in_table) std::ranges::copy(parameters, before_.begin());
  std::vector<std::span<float>> state;
  for (const FloatBlock& block : optimizer_) state.push_back(block.values().subspan(first, count));
  rule_.lr = step.learning_rate;
  kernels::optimizer_step(rule_, step.update, parameters, gradient, state);
  if (in_table) rows_.note(first, std::span(before_).first(count), parameters, step.version);
  if (skips_zeros_ && all_finite_) all_finite_ = !kernels::find_not_finite(parameters);
}

Payload RangeVectors::changed_since(std::uint64_t have, bool lend) const {
  if (have != 0 && !rows_.empty()) {
    Payload some{Form::runs, rows_.changed_since(have), {}};
    std::uint64_t values = 0;
    for (const Run& run : some.runs) values += run.count;
    if (saves_half(values, some.runs.size(), elements_)) {
      some.bytes = Buffer::make(values * sizeof(float), [&](std::span<std::byte> out) {
        std::byte* to = out.data();
        for (const Run& run : some.runs) {
          std::memcpy(to, parameters_.values().data() + run.first, run.count * sizeof(float));
          to += run.count * sizeof(float);
        }
      });
      return some;
    }
  }
  return {Form::dense, {}, lend ? parameters_.lend() : parameters_.copy()};
}

}  // namespace ds::parameters
