#pragma once

// Private to actors/infer: tensors of requests as torch's, and back.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/infer/compute_device.hpp"
#include "actors/infer/text_encoder.hpp"
#include "actors/serving/padding.hpp"
#include "actors/serving/tensor.hpp"

namespace ds::infer {

/// None: torch has no such type.
std::optional<at::ScalarType> scalar_type_of(serving::Datatype type);
std::optional<serving::Datatype> datatype_of(at::ScalarType type);

/// The rows of all, one after another, in the host's memory, for `device` to take over. Shares the memory of
/// a lone tensor where that is aligned, for as long as anything does. Throws `c10::Error` when their types or
/// the shapes of their rows differ, or one has not the bytes of its shape.
at::Tensor join(std::span<const serving::Tensor* const> tensors, const ComputeDevice& device);
/// The same of texts, as their tokens' numbers. Their bytes have been checked.
at::Tensor join_texts(std::span<const serving::Tensor* const> tensors, const TextEncoder& encoder);
/// The same, only as long as the first of `buckets` that holds the longest text; the last is the encoder's
/// length. Adds its tokens to `elements`.
at::Tensor join_texts(std::span<const serving::Tensor* const> tensors, const TextEncoder& encoder,
                      std::span<const std::int64_t> buckets, serving::PaddedElements& elements);

/// `rows` rows from `first` on; shares the memory of `whole`, which is contiguous.
serving::Tensor slice(const at::Tensor& whole, const std::string& name, std::int64_t first,
                      std::int64_t rows);

/// The name of the largest number of each of these rows (`scores`: rows x labels).
serving::Tensor to_labels(const at::Tensor& scores, std::span<const std::string> labels, std::int64_t first,
                          std::int64_t rows);

}  // namespace ds::infer
