#pragma once

#include <cstdint>

#include "actors/collective/agreement.hpp"
#include "actors/collective/call.hpp"
#include "actors/collective/exchange.hpp"

namespace ds::collective {

/// What members on GPUs tell each other over an exchange; their data travels elsewhere. The exchange may
/// carry one `Communicator`'s messages too: the tags differ. Blocks in receiving; one thread.
class DeviceRounds {
 public:
  explicit DeviceRounds(Exchange& exchange) : exchange_(exchange) {}

  /// Whether all members may go on together (`check_agreement`).
  Result<void> agree(OperationName name, const MemberStatus& own) const;
  /// Member 0's `bytes`, for everybody.
  Result<Buffer> from_first(OperationName name, const Buffer& bytes) const;
  /// Returns when all members have come here.
  Result<void> all_done(OperationName name) const;

 private:
  enum class Phase : std::uint64_t { status, first, done };
  static std::uint64_t tag_of(OperationName name, Phase phase);
  Result<void> tell_others(OperationName name, Phase phase, const Buffer& bytes) const;

  Exchange& exchange_;
};

}  // namespace ds::collective
