#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/fabric/buffer.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// What a member tells all others at the start of an operation, before anybody trusts anybody's data.
struct MemberStatus {
  std::uint32_t rank = 0;        ///< in the communicator
  Signature signature;           ///< of the operation as it was called there
  std::optional<Error> failure;  ///< it cannot take part
  bool operator==(const MemberStatus&) const = default;
};

Buffer to_buffer(const MemberStatus& status);

/// `data_loss` when these are not the bytes of a status.
Result<MemberStatus> to_member_status(const Buffer& bytes);

/// Whether the members, in rank order, may go on together. All members see the same statuses, hence fail
/// alike: with the failure of the lowest rank that has one, or by naming two ranks that called differently
/// (`internal`). Pure.
Result<void> check_agreement(const std::vector<MemberStatus>& statuses);

/// What a signature says, for people. Pure.
std::string describe(const Signature& signature);

}  // namespace ds::collective
