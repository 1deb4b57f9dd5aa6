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

/// Cuts `logical_ranks` into `world_size` contiguous ranges whose sizes differ by one at most; rank order. Pure.
std::vector<RankRange> assign_logical_ranks(std::uint32_t logical_ranks, std::uint32_t world_size);

/// Sums vectors of all logical ranks along one fixed binary tree, whatever the number of processes.
///
/// The tree: leaves are the logical ranks; at each level node 2k is added to node 2k+1 (in this order), a node without
/// a partner moves up unchanged. Additions are element-wise in the element's own type, so any split of the leaves over members
/// gives the same bits. One object a generation; calls are collective: all members, same order, same sizes.
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

  /// Calls `produce` for each hosted logical rank in order, then leaves the sum over all logical ranks in `sum`, the same bits on
  /// every member. Memory: the logarithm of the hosted ranks times the vector. An error of `produce` reaches every member.
  Result<void> all_reduce(std::span<float> sum, const Produce<float>& produce);
  Result<void> all_reduce(std::span<double> sum, const Produce<double>& produce);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::collective
