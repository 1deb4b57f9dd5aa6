#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "storage/result.hpp"
#include "storage/state/journal.hpp"

namespace ds::programs {

/// Where the head kills itself, for tests of its recovery: at its n-th step since it was started, before that
/// is written or once it is durable and nobody has heard of it. A step is a record or a piece of a snapshot.
struct FaultPoint {
  /// Of a head with a fault point: it has snapshots of several pieces from its first dozens of records on.
  static constexpr std::uint64_t kCompactBytes = 4 << 10;
  static constexpr std::size_t kPieceBytes = 1 << 10;

  std::uint64_t step = 0;  ///< from 1
  bool before = false;
};

/// `N`, `N:before` or `N:after`, as in the environment variable DS_HEAD_DIE_AT.
Result<FaultPoint> parse_fault_point(std::string_view text);

/// `journal` whose user gets SIGKILL at `point`, and says in its log at what that was.
std::unique_ptr<storage::StateJournal> add_fault_point(std::unique_ptr<storage::StateJournal> journal,
                                                       FaultPoint point);

}  // namespace ds::programs
