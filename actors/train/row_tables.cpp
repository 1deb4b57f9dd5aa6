#include "actors/train/row_tables.hpp"

namespace ds::train {

std::vector<parameters::RowTable> row_tables(const std::vector<TensorSlot>& slots) {
  std::vector<parameters::RowTable> tables;
  for (const TensorSlot& slot : slots) {
    if (slot.shape.size() != 2 || slot.shape[0] < kLeastTableRows || slot.shape[1] == 0) continue;
    tables.push_back(
        {slot.offset, static_cast<std::uint64_t>(slot.shape[0]), static_cast<std::uint64_t>(slot.shape[1])});
  }
  return tables;
}

}  // namespace ds::train
