#include "actors/train/gradient_encoder.hpp"

#include <utility>

#include "actors/parameters/sparse_rows.hpp"
#include "kernels/compression.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

using parameters::Form;
using parameters::KeyRange;
using parameters::Payload;

GradientEncoder::GradientEncoder(const scheduler::CompressionSpec& compression, std::vector<KeyRange> ranges,
                                 std::vector<std::vector<parameters::RowTable>> tables)
    : compression_(compression), ranges_(std::move(ranges)), tables_(std::move(tables)) {}

std::vector<Payload> GradientEncoder::cut(const Buffer& gradient) const {
  std::vector<Payload> payloads;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const Buffer part = gradient.slice(ranges_[i].first * sizeof(float), ranges_[i].size() * sizeof(float));
    payloads.push_back(parameters::leave_out_zero_rows(part, tables_[i]));
  }
  return payloads;
}

std::vector<Payload> GradientEncoder::encode(std::uint32_t logical, std::uint64_t step,
                                             const Buffer& gradient) {
  if (is_lossless()) return cut(gradient);
  const std::span<const float> values(reinterpret_cast<const float*>(gradient.bytes().data()),
                                      gradient.size() / sizeof(float));
  if (compression_.name == "top_k") {
    Memory& memory = memories_[logical];
    memory.left.resize(values.size());
    if (memory.step != step) {
      // What is not finite is sent first, spoils the step, and must not stay behind for the next one.
      const bool finite = !kernels::find_not_finite(values);
      std::vector<float> nothing(finite ? 0 : values.size());
      memory.sent = encode_largest(values, finite ? memory.left : nothing);
      memory.step = step;
    }
    return memory.sent;
  }
  const auto [form, compression] =
      compression_.name == "float16"    ? std::pair(Form::float16, kernels::Compression::float16)
      : compression_.name == "bfloat16" ? std::pair(Form::bfloat16, kernels::Compression::bfloat16)
                                        : std::pair(Form::int8, kernels::Compression::int8);
  std::vector<Payload> payloads;
  for (const KeyRange& range : ranges_) {
    const auto part = values.subspan(range.first, range.size());
    payloads.push_back({form,
                        {},
                        Buffer::make(kernels::encoded_bytes(compression, part.size()),
                                     [&, kind = compression](std::span<std::byte> out) {
                                       kernels::encode(kind, part, out);
                                     })});
  }
  return payloads;
}

std::vector<Payload> GradientEncoder::encode_largest(std::span<const float> gradient,
                                                     std::span<float> left) const {
  std::vector<Payload> payloads;
  for (const KeyRange& range : ranges_) {
    const std::vector<std::byte> bytes = kernels::encode_top_k(
        gradient.subspan(range.first, range.size()), left.subspan(range.first, range.size()),
        kernels::count_kept(compression_.share, range.size()));
    payloads.push_back({Form::top_k, {}, Buffer::copy_of(bytes)});
  }
  return payloads;
}

void GradientEncoder::keep_only(collective::RankRange hosted) {
  std::erase_if(memories_,
                [&](const auto& one) { return one.first < hosted.first || one.first >= hosted.last; });
}

}  // namespace ds::train
