#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/communicator.hpp"
#include "actors/collective/exchange.hpp"
#include "actors/collective/segment_pool.hpp"
#include "actors/collective/waiting.hpp"

namespace ds::collective {

/// A collective call of this member.
struct Call {
  Signature signature;
  OperationName name = 0;
  Contribution contribution;
  void* output = nullptr;          ///< all elements; of a reduce_scatter the own slice
  const Error* failure = nullptr;  ///< why this member cannot take part
};

/// The way on which the data of a communicator travels. Thread-safe: calls run on the threads that make them.
class Route {
 public:
  virtual ~Route() = default;
  virtual Path path() const = 0;
  virtual Result<void> run(const Call& call, Interruption& interruption) = 0;
  /// Lets the members that this one reaches without the exchange fail with `why`.
  virtual void abort(const Error& why) = 0;
};

/// For a gang of one that hosts all leaves.
std::unique_ptr<Route> make_lone_route(std::uint32_t leaves);

/// Finds out, together with all members, who shares memory with whom, and falls back to the exchange alone
/// unless that works for all who should. Fails when the exchange does.
Result<std::unique_ptr<Route>> connect_route(const std::shared_ptr<Exchange>& exchange,
                                             const std::vector<RankRange>& ranges,
                                             const CommunicatorOptions& options,
                                             const std::shared_ptr<SegmentPool>& pool);

/// Who owns which elements of a vector in a gang whose members are all alike: even slices, or all the root's.
/// Appends to `owned`.
void append_ownership(const Signature& signature, std::uint32_t world_size, std::vector<Slice>& owned);

}  // namespace ds::collective
