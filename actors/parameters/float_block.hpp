#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "actors/fabric/buffer.hpp"

namespace ds::parameters {

/// Floats in memory that can be lent to other processes.
class FloatBlock {
 public:
  FloatBlock() = default;
  explicit FloatBlock(std::size_t elements);  ///< not zeroed

  std::span<float> values() const { return values_; }
  Buffer lend() const { return {owner_, std::as_bytes(values_)}; }
  Buffer copy() const { return Buffer::copy_of(std::as_bytes(values_)); }
  bool is_lent() const { return owner_.use_count() > 1; }

 private:
  std::shared_ptr<std::byte[]> owner_;
  std::span<float> values_;
};

}  // namespace ds::parameters
