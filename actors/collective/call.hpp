#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "actors/collective/rank_range.hpp"
#include "actors/collective/vector_view.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// The collective operations. The numbers travel between members.
enum class Kind : std::uint8_t { all_reduce, reduce_scatter, all_gather, broadcast, barrier };
inline constexpr std::size_t kKinds = 5;

constexpr bool reduces(Kind kind) {
  return kind == Kind::all_reduce || kind == Kind::reduce_scatter;
}

/// What all members of an operation must agree on.
struct Signature {
  Kind kind = Kind::barrier;
  ReduceOperator op = ReduceOperator::sum;
  ElementType type = ElementType::float32;
  std::uint32_t root = 0;      ///< of a broadcast
  std::uint64_t elements = 0;  ///< of the whole vector
  bool operator==(const Signature&) const = default;
};

/// What members call an operation: unique among those of a communicator, below 2^52.
using OperationName = std::uint64_t;
inline constexpr unsigned kOperationNameBits = 52;

/// Who gets results.
enum class Delivery : std::uint8_t {
  owner,     ///< each member its own slice
  everyone,  ///< each member everything
  first,     ///< the first member of the group everything, the others nothing
};

/// The vectors that a member puts into an operation.
struct Contribution {
  /// Of a reduction: one vector a hosted leaf or, when `folded`, one a maximal subtree of them. Else its own
  /// slice, if any.
  std::span<const void* const> vectors;
  bool folded = false;
  /// Keeps the vectors alive; none: they are copied where they would have to outlive the call.
  std::shared_ptr<const void> owner;
};

/// One operation as one member of a group of members carries it out.
struct Task {
  Signature signature;
  OperationName name = 0;
  std::uint8_t stage = 0;  ///< tells tasks of one name and group apart
  Delivery delivery = Delivery::everyone;
  /// Which elements each member of the group combines (reductions) or has (the others).
  std::span<const Slice> owned;
  Contribution contribution;
  /// Where the results go: vectors of `signature.elements`, for `Delivery::owner` of the own slice. One, but
  /// for `Delivery::first` of a reduction one for each maximal subtree of the group's leaves.
  std::span<void* const> outputs;
  /// Why this member cannot take part; then all fail. Null: it can.
  const Error* failure = nullptr;
};

}  // namespace ds::collective
