#include "actors/train/row_tables.hpp"

#include <algorithm>

namespace ds::train {

std::vector<parameters::RowTable> row_tables(const std::vector<TensorSlot>& slots,
                                             const parameters::KeyRange& range) {
  std::vector<parameters::RowTable> tables;
  for (const TensorSlot& slot : slots) {
    if (slot.shape.size() != 2 || slot.shape[0] < kLeastTableRows || slot.shape[1] == 0) continue;
    const auto width = static_cast<std::uint64_t>(slot.shape[1]);
    const std::uint64_t begin = std::max(slot.offset, range.first);
    const std::uint64_t end = std::min(slot.offset + slot.size, range.last);
    if (begin >= end) continue;
    const std::uint64_t first_row = (begin - slot.offset + width - 1) / width;
    const std::uint64_t last_row = (end - slot.offset) / width;
    if (first_row < last_row)
      tables.push_back({slot.offset + first_row * width - range.first, last_row - first_row, width});
  }
  return tables;
}

}  // namespace ds::train
