#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "actors/data/batch.hpp"
#include "actors/data/sample.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// Lays samples one behind the other in memory that can be lent to other processes.
class BatchBuilder {
 public:
  /// `fields` must outlive it. Makes room for `rows`.
  BatchBuilder(std::span<const FieldShape> fields, std::uint64_t rows);

  /// `invalid_argument` when the sample has another shape than the batch.
  Result<void> add(const Sample& sample);
  Batch finish();

 private:
  struct Column {
    std::shared_ptr<std::byte[]> memory;
    std::byte* begin = nullptr;  // aligned
    std::size_t row_bytes = 0;
  };

  std::span<const FieldShape> fields_;
  std::vector<Column> columns_;
  std::uint64_t rows_ = 0;
};

}  // namespace ds::data
