#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/flat_tensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <unordered_set>

#include "actors/fabric/block_pool.hpp"

namespace ds::train {
namespace {

/// Two tensors whose memory overlaps would be torn apart by moving them.
std::string find_overlap(const std::vector<NamedTensor>& tensors) {
  std::map<const std::byte*, const NamedTensor*> by_place;
  for (const NamedTensor& named : tensors) {
    if (named.tensor.numel() > 0)
      by_place.emplace(static_cast<const std::byte*>(named.tensor.data_ptr()), &named);
  }
  const std::byte* end = nullptr;
  const NamedTensor* before = nullptr;
  for (const auto& [begin, named] : by_place) {
    if (before != nullptr && begin < end && !before->tensor.is_same(named->tensor))
      return fmt::format("{} and {} share memory", before->name, named->name);
    std::size_t span = 1;
    for (std::int64_t i = 0; i < named->tensor.dim(); ++i)
      span += static_cast<std::size_t>((named->tensor.size(i) - 1) * named->tensor.stride(i));
    end = begin + span * named->tensor.element_size();
    before = named;
  }
  return "";
}

/// Zeros, aligned as torch aligns its own memory.
at::Tensor zeros_in_block(std::int64_t count, at::ScalarType type) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t bytes = static_cast<std::size_t>(count) * c10::elementSize(type);
  std::size_t space = bytes + kAlignment;
  const std::shared_ptr<std::byte[]> block = fabric::take_block(space);
  void* memory = block.get();
  std::align(kAlignment, bytes, memory, space);
  std::memset(memory, 0, bytes);
  return at::from_blob(
      memory, {count}, [block](void*) {}, at::TensorOptions().dtype(type));
}

}  // namespace

void FlatTensors::Kind::add(const NamedTensor& named) {
  TensorSlot slot{named.name, named.tensor.sizes().vec(), 0,
                  static_cast<std::uint64_t>(named.tensor.numel())};
  if (!slots.empty()) slot.offset = slots.back().offset + slots.back().size;
  slots.push_back(std::move(slot));
  tensors.push_back(named.tensor);
}

at::Tensor FlatTensors::Kind::view_of(const at::Tensor& flat_one, std::size_t index) const {
  const TensorSlot& slot = slots[index];
  return flat_one.narrow(0, static_cast<std::int64_t>(slot.offset), static_cast<std::int64_t>(slot.size))
      .view(slot.shape);
}

void FlatTensors::Kind::move_into_flat(at::ScalarType type) {
  const std::uint64_t count = slots.empty() ? 0 : slots.back().offset + slots.back().size;
  flat = zeros_in_block(static_cast<std::int64_t>(count), type);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor view = view_of(flat, i);
    view.copy_(tensors[i].detach());
    tensors[i].set_data(view);  // whoever holds the tensor now sees the view
  }
}

Result<FlatTensors> FlatTensors::take(Network& network) {
  const at::NoGradGuard without_gradient;
  FlatTensors flat;
  std::unordered_set<const void*> known;
  std::vector<NamedTensor> once;
  const auto sort = [&](const NamedTensor& named, bool parameter) {
    flat.all_.push_back(named);
    const at::Tensor& tensor = named.tensor;
    if (!known.insert(tensor.unsafeGetTensorImpl()).second) return;
    once.push_back(named);
    if (parameter && tensor.requires_grad()) {
      flat.parameters_.add(named);
    } else if (tensor.is_floating_point()) {
      flat.buffers_.add(named);
    } else if (tensor.scalar_type() == at::kLong) {
      flat.counters_.add(named);
    } else {
      flat.constants_.push_back(named);
    }
  };
  for (const NamedTensor& named : network.parameters()) sort(named, true);
  for (const NamedTensor& named : network.buffers()) sort(named, false);
  for (const NamedTensor& named : once) {
    if (named.tensor.is_complex() || named.tensor.is_quantized() || named.tensor.layout() != at::kStrided)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} is complex, quantized or sparse, which cannot be trained", named.name));
  }
  if (const std::string overlap = find_overlap(once); !overlap.empty())
    return fail(ErrorCode::invalid_argument, overlap + ", which cannot be trained");
  if (flat.parameters_.slots.empty())
    return fail(ErrorCode::invalid_argument, "the model has no parameters to train");

  flat.parameters_.move_into_flat(at::kFloat);
  flat.buffers_.move_into_flat(at::kFloat);
  flat.counters_.move_into_flat(at::kLong);
  flat.gradients_ = zeros_in_block(flat.parameters_.flat.numel(), at::kFloat);
  for (const at::Tensor& tensor : flat.parameters_.tensors) tensor.mutable_grad().reset();
  for (const NamedTensor& named : flat.constants_) flat.versions_.push_back(named.tensor._version());
  return flat;
}

void FlatTensors::check() const {
  for (std::size_t i = 0; i < constants_.size(); ++i) {
    TORCH_CHECK(constants_[i].tensor._version() == versions_[i], "forward changes the buffer ",
                constants_[i].name, ", whose type is ", constants_[i].tensor.scalar_type(),
                ": what changes must be floating-point or int64");
  }
}

std::vector<NamedTensor> FlatTensors::copies() const {
  const at::NoGradGuard without_gradient;
  std::vector<NamedTensor> copies;
  for (const NamedTensor& named : all_) copies.push_back({named.name, named.tensor.detach().clone()});
  return copies;
}

}  // namespace ds::train
