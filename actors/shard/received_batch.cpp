#include "actors/shard/received_batch.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <memory>

namespace ds::shard {
namespace {

constexpr std::size_t kAlignment = 64;

bool is_aligned(const Buffer& bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.bytes().data()) % kAlignment == 0;
}

Buffer copy_aligned(const Buffer& from) {
  auto memory = fabric::take_block(from.size() + kAlignment - 1);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.get());
  std::byte* begin = memory.get() + (kAlignment - address % kAlignment) % kAlignment;
  std::memcpy(begin, from.bytes().data(), from.size());
  return Buffer(std::move(memory), std::span<const std::byte>(begin, from.size()));
}

}  // namespace

Result<void> check_received(const data::Batch& batch, const train::MicroBatch& which,
                            const train::BatchMaker& maker) {
  const auto& fields = maker.dataset().fields();
  const std::vector<std::uint64_t> samples = maker.samples_of(which);
  // No sum of the two: it may wrap around.
  bool fits = batch.samples == samples && batch.rows <= samples.size() &&
              batch.skipped == samples.size() - batch.rows && batch.fields.size() == fields.size();
  for (std::size_t f = 0; fits && f < fields.size(); ++f) {
    const auto& [name, tensor] = batch.fields[f];
    std::vector<std::int64_t> shape{static_cast<std::int64_t>(batch.rows)};
    shape.insert(shape.end(), fields[f].shape.begin(), fields[f].shape.end());
    std::uint64_t bytes = data::bytes_of(fields[f].element);
    for (const std::int64_t extent : shape) bytes *= static_cast<std::uint64_t>(extent);
    fits = name == fields[f].name && tensor.element == fields[f].element && tensor.shape == shape &&
           tensor.bytes.size() == bytes;
  }
  if (fits) return {};
  return fail(ErrorCode::internal,
              fmt::format("the batch of step {}, logical rank {} has not its shape, or other samples",
                          which.step, which.logical_rank));
}

void settle_memory(data::Batch& batch, bool all) {
  for (auto& [name, tensor] : batch.fields) {
    if (!tensor.bytes.empty() && (all || !is_aligned(tensor.bytes)))
      tensor.bytes = copy_aligned(tensor.bytes);
  }
}

}  // namespace ds::shard
