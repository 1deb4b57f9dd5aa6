#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/tensor_bridge.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "actors/serving/model_metadata.hpp"

namespace ds::infer {
namespace {

using serving::Datatype;
using serving::Tensor;

constexpr auto kTypes = std::to_array<std::pair<Datatype, at::ScalarType>>({
    {Datatype::boolean, at::kBool},
    {Datatype::uint8, at::kByte},
    {Datatype::int8, at::kChar},
    {Datatype::int16, at::kShort},
    {Datatype::int32, at::kInt},
    {Datatype::int64, at::kLong},
    {Datatype::fp16, at::kHalf},
    {Datatype::fp32, at::kFloat},
    {Datatype::fp64, at::kDouble},
    {Datatype::bf16, at::kBFloat16},
});

constexpr std::size_t kLengthBytes = 4;  // before each element of a BYTES tensor

std::int64_t count_rows(std::span<const Tensor* const> tensors) {
  std::int64_t rows = 0;
  for (const Tensor* tensor : tensors) rows += tensor->shape.front();
  return rows;
}

template <class Take>
void for_each_text(std::span<const Tensor* const> tensors, const Take& take) {
  for (const Tensor* tensor : tensors) {
    std::string_view rest = tensor->bytes.text();
    for (std::int64_t row = 0; row < tensor->shape.front(); ++row) {
      std::uint32_t size = 0;
      std::memcpy(&size, rest.data(), kLengthBytes);
      take(rest.substr(kLengthBytes, size));
      rest.remove_prefix(kLengthBytes + size);
    }
  }
}

/// Who batches requests compares hashes of their shapes, and a stranger can make one that is another's.
void check_alike(const Tensor& tensor, const Tensor& first) {
  const auto row = [](const Tensor& one) { return std::span(one.shape).subspan(1); };
  const bool is_alike = !tensor.shape.empty() && !first.shape.empty() && tensor.datatype == first.datatype &&
                        std::ranges::equal(row(tensor), row(first));
  const std::size_t size = serving::size_of(tensor.datatype);
  const auto count = serving::count_elements(tensor.shape);
  TORCH_CHECK(is_alike && count && tensor.bytes.size() / size == *count && tensor.bytes.size() % size == 0,
              "input ", tensor.name, " has ", tensor.bytes.size(), " bytes of the shape ",
              serving::format_shape(tensor.shape), ", which make no batch with the shape ",
              serving::format_shape(first.shape));
}

bool is_aligned(const Buffer& bytes, std::size_t size) {
  return reinterpret_cast<std::uintptr_t>(bytes.bytes().data()) % size == 0;
}

}  // namespace

std::optional<at::ScalarType> scalar_type_of(Datatype type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == type) return theirs;
  }
  return std::nullopt;
}

std::optional<Datatype> datatype_of(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  return std::nullopt;
}

at::Tensor join(std::span<const Tensor* const> tensors, const ComputeDevice& device) {
  const Tensor& first = *tensors.front();
  const auto type = *scalar_type_of(first.datatype);
  for (const Tensor* tensor : tensors) check_alike(*tensor, first);
  std::vector<std::int64_t> shape = first.shape;
  if (tensors.size() == 1 && !first.bytes.empty() &&
      is_aligned(first.bytes, serving::size_of(first.datatype))) {
    // A model may give its input, or a part of it, as its output, which lives longer than the request.
    auto* memory = const_cast<std::byte*>(first.bytes.bytes().data());
    return at::from_blob(
        memory, shape, [keep = first.bytes](void*) {}, type);
  }
  shape.front() = count_rows(tensors);
  at::Tensor joined = device.make_host_tensor(shape, type);
  auto* out = static_cast<std::byte*>(joined.data_ptr());
  for (const Tensor* tensor : tensors) {
    if (tensor->bytes.empty()) continue;
    std::memcpy(out, tensor->bytes.bytes().data(), tensor->bytes.size());
    out += tensor->bytes.size();
  }
  return joined;
}

at::Tensor join_texts(std::span<const Tensor* const> tensors, const TextEncoder& encoder) {
  const auto length = static_cast<std::int64_t>(encoder.length());
  at::Tensor joined = at::empty({count_rows(tensors), length}, at::kLong);
  auto* out = joined.data_ptr<std::int64_t>();
  for_each_text(tensors, [&](std::string_view text) {
    encoder.encode(text, {out, encoder.length()});
    out += length;
  });
  return joined;
}

at::Tensor join_texts(std::span<const Tensor* const> tensors, const TextEncoder& encoder,
                      std::span<const std::int64_t> buckets, serving::PaddedElements& elements) {
  std::vector<std::vector<std::int64_t>> texts;
  std::int64_t longest = 0, real = 0;
  for_each_text(tensors, [&](std::string_view text) {
    encoder.encode(text, texts.emplace_back());
    longest = std::max(longest, static_cast<std::int64_t>(texts.back().size()));
    real += static_cast<std::int64_t>(texts.back().size());
  });
  const std::int64_t length = serving::bucket_of(buckets, longest);
  at::Tensor joined = at::zeros({count_rows(tensors), length}, at::kLong);  // 0 is the padding's number
  auto* out = joined.data_ptr<std::int64_t>();
  for (const auto& text : texts) {
    std::ranges::copy(text, out);
    out += length;
  }
  elements.real += static_cast<std::uint64_t>(real);
  elements.padding += static_cast<std::uint64_t>(joined.numel() - real);
  return joined;
}

Tensor slice(const at::Tensor& whole, const std::string& name, std::int64_t first, std::int64_t rows) {
  TORCH_CHECK(whole.dim() > 0 && first >= 0 && rows >= 0 && first + rows <= whole.size(0), "output ", name,
              " has the shape ", whole.sizes(), ", where rows ", first, " to ", first + rows,
              " are asked for");
  // Without a view of torch's: to make one takes as long as all the rest that is done for a small request.
  std::vector<std::int64_t> shape = whole.sizes().vec();
  const std::int64_t all = std::exchange(shape.front(), rows);
  const std::size_t row = all == 0 ? 0 : whole.nbytes() / static_cast<std::size_t>(all);
  const auto* bytes = static_cast<const std::byte*>(whole.data_ptr()) + static_cast<std::size_t>(first) * row;
  return {name, *datatype_of(whole.scalar_type()), std::move(shape),
          Buffer(std::make_shared<const at::Tensor>(whole), {bytes, static_cast<std::size_t>(rows) * row})};
}

Tensor to_labels(const at::Tensor& scores, std::span<const std::string> labels, std::int64_t first,
                 std::int64_t rows) {
  const at::Tensor best = scores.narrow(0, first, rows).argmax(1).contiguous();
  const auto* classes = best.data_ptr<std::int64_t>();
  std::string text;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::string& label = labels[static_cast<std::size_t>(classes[row])];
    const auto size = static_cast<std::uint32_t>(label.size());
    text.append(reinterpret_cast<const char*>(&size), kLengthBytes);
    text += label;
  }
  return {"label", Datatype::bytes, {rows}, Buffer::copy_of(text)};
}

}  // namespace ds::infer
