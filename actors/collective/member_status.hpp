#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// What a member tells all others at the start of an operation, before anybody trusts anybody's data.
struct MemberStatus {
  std::uint64_t sequence = 0;      ///< which operation of the communicator this is, from 0
  std::uint64_t elements = 0;      ///< length of its vector
  std::uint32_t element_size = 0;  ///< 4: float, 8: double
  std::optional<Error> failure;    ///< its logical ranks could not be computed
  bool operator==(const MemberStatus&) const = default;
};

Buffer to_buffer(const MemberStatus& status);

/// `data_loss` when these are not the bytes of a status.
Result<MemberStatus> to_member_status(const Buffer& bytes);

/// Whether the members, in rank order, may go on together. All members see the same statuses, hence fail
/// alike: with the failure of the lowest rank that has one, or by naming two ranks that called differently.
/// Pure.
Result<void> check_agreement(const std::vector<MemberStatus>& statuses);

}  // namespace ds::collective
