#include "actors/collective/operation_names.hpp"

#include "actors/collective/communicator.hpp"

namespace ds::collective {
namespace {

// The upper bit tells tagged from untagged; below the tag stand the lower bits of its uses. Names come round
// after half a million uses of a tag, long after the operation that had the name before.
constexpr unsigned kUseBits = kOperationNameBits - 1 - 32;
constexpr std::uint64_t kTagged = std::uint64_t{1} << (kOperationNameBits - 1);

}  // namespace

std::optional<OperationName> OperationNames::next(std::optional<std::uint32_t> tag) {
  if (!tag) return untagged_++ & (kTagged - 1);
  if (!uses_.contains(*tag) && uses_.size() == kMaxTags) return std::nullopt;
  const std::uint64_t use = uses_[*tag]++ & ((1U << kUseBits) - 1);
  return kTagged | std::uint64_t{*tag} << kUseBits | use;
}

}  // namespace ds::collective
