#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "actors/collective/exchange.hpp"

namespace ds::collective {

/// Contiguous logical ranks [first, last).
struct RankRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t size() const { return last - first; }
  bool operator==(const RankRange&) const = default;
};

/// Cuts `logical_ranks` into `world_size` contiguous ranges whose sizes differ by one at most; rank order.
/// Pure.
std::vector<RankRange> assign_logical_ranks(std::uint32_t logical_ranks, std::uint32_t world_size);

/// Sums vectors of all logical ranks along one fixed binary tree, whatever the number of processes.
///
/// The tree: leaves are the logical ranks; at each level node 2k is added to node 2k+1 (in this order), a
/// node without a partner moves up unchanged. Additions are element-wise in the element's own type, so any
/// split of the leaves over members gives the same bits. One object a generation; calls are collective: all
/// members, same order, same sizes.
///
/// Each member folds its leaves into maximal subtrees of the tree, S of them (1 when the shares are equal and
/// a power of two; at most two a level). Then, of P members, each owns 1/P of the elements: it gets that
/// slice of every subtree, finishes the tree for it, and sends the result to all. A member sends (S + 1) * (P
/// - 1) / P vectors and 40 bytes to each other member. Two messages follow each other on the longest path.
/// This is the reduce-scatter and all-gather of R. Rabenseifner, "Optimization of Collective Reduction
/// Operations" (ICCS 2004), without its recursive halving, which would add in an order that depends on P.
///
/// After a failure the communicator is dead: every later call fails. Not thread-safe: one thread at a time,
/// any thread.
class Communicator {
 public:
  /// `ranges[r]` is what rank r hosts; they cover [0, logical ranks) once, in order.
  Communicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges);
  /// A gang of one; needs no exchange.
  explicit Communicator(std::uint32_t logical_ranks);
  ~Communicator();

  RankRange hosted() const;
  std::uint32_t logical_ranks() const;
  std::uint32_t rank() const;
  std::uint32_t world_size() const;

  /// Writes logical rank `logical`'s vector into `out` (all of it).
  template <class T>
  using Produce = std::function<Result<void>(std::uint32_t logical, std::span<T> out)>;

  /// Calls `produce` for each hosted logical rank in order, then leaves the sum over all logical ranks in
  /// `sum`, the same bits on every member. Memory: the logarithm of the hosted ranks times the vector. An
  /// error of `produce` reaches every member, and so does a call with another length or type (`internal`,
  /// naming two ranks that differ). `sum` is unspecified after a failure.
  Result<void> all_reduce(std::span<float> sum, const Produce<float>& produce);
  Result<void> all_reduce(std::span<double> sum, const Produce<double>& produce);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::collective
