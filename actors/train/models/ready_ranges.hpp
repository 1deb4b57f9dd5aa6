#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "actors/train/model.hpp"

namespace ds::train {

/// Brings finished parameters, which come in any order, into falling order without gaps.
class ReadyRanges {
 public:
  explicit ReadyRanges(const std::vector<TensorSlot>& slots) : slots_(slots), done_(slots.size()) {}

  void restart() {
    std::fill(done_.begin(), done_.end(), false);
    open_ = slots_.size();
  }

  /// A range of elements that is now finished down from the last one told, if there is any.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> finish(std::size_t index) {
    done_[index] = true;
    const std::uint64_t last = front();
    while (open_ > 0 && done_[open_ - 1]) --open_;
    const std::uint64_t first = front();
    if (first == last) return std::nullopt;
    return std::pair(first, last);
  }

  /// What is left: the elements before the last range told.
  std::uint64_t front() const {
    if (open_ == 0) return 0;
    return slots_[open_ - 1].offset + slots_[open_ - 1].size;
  }

 private:
  const std::vector<TensorSlot>& slots_;
  std::vector<bool> done_;
  std::size_t open_ = 0;  ///< slots from here on were told
};

}  // namespace ds::train
