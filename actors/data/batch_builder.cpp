#include "actors/data/batch_builder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <utility>

namespace ds::data {
namespace {

constexpr std::size_t kAlignment = 64;

std::byte* align(std::byte* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  return memory + (kAlignment - address % kAlignment) % kAlignment;
}

}  // namespace

BatchBuilder::BatchBuilder(std::span<const FieldShape> fields, std::uint64_t rows) : fields_(fields) {
  for (const FieldShape& field : fields) {
    Column column;
    column.row_bytes = bytes_of(field.element);
    for (const std::int64_t extent : field.shape) column.row_bytes *= static_cast<std::size_t>(extent);
    column.memory = fabric::take_block(column.row_bytes * rows + kAlignment - 1);
    column.begin = align(column.memory.get());
    columns_.push_back(std::move(column));
  }
}

Result<void> BatchBuilder::add(const Sample& sample) {
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    const Value& value = sample.fields[f];
    const std::size_t have = fields_[f].element == Element::int64 ? value.whole.size() * sizeof(std::int64_t)
                                                                  : value.numbers.size() * sizeof(float);
    const void* from = fields_[f].element == Element::int64 ? static_cast<const void*>(value.whole.data())
                                                            : static_cast<const void*>(value.numbers.data());
    if (value.shape != fields_[f].shape || have != columns_[f].row_bytes)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("its {} has the shape [{}], others [{}]", fields_[f].name,
                              fmt::join(value.shape, ", "), fmt::join(fields_[f].shape, ", ")),
                  "Add a resize or crop (images) or pad_sequences (text).");
    if (have != 0) std::memcpy(columns_[f].begin + rows_ * have, from, have);
  }
  ++rows_;
  return {};
}

Batch BatchBuilder::finish() {
  Batch batch;
  batch.rows = rows_;
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    HostTensor tensor{fields_[f].element, {static_cast<std::int64_t>(rows_)}, {}};
    tensor.shape.insert(tensor.shape.end(), fields_[f].shape.begin(), fields_[f].shape.end());
    const std::span<const std::byte> bytes(columns_[f].begin, columns_[f].row_bytes * rows_);
    tensor.bytes = Buffer(std::move(columns_[f].memory), bytes);
    batch.fields.emplace_back(fields_[f].name, std::move(tensor));
  }
  return batch;
}

}  // namespace ds::data
