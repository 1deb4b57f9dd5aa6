#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "actors/collective/call.hpp"

namespace ds::collective {

/// Gives operations the same names on all members: by order, or by their caller's tag and how often that was
/// used. Not thread-safe.
class OperationNames {
 public:
  /// Nothing when the tag would be one too many (`kMaxTags`).
  std::optional<OperationName> next(std::optional<std::uint32_t> tag);

 private:
  std::uint64_t untagged_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> uses_;
};

}  // namespace ds::collective
