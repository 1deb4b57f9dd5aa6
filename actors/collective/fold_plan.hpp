#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/rank_range.hpp"
#include "actors/collective/summation_tree.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {

/// A run of inputs that become one value: stack programs as `kernels::reduce_tree` wants them.
struct FoldedRun {
  TreeNode node;
  std::uint32_t first = 0;   ///< input
  std::uint32_t count = 0;   ///< of inputs
  std::uint32_t leaves = 0;  ///< logical ranks below `node`

  /// Values of one leaf are elements, others accumulators.
  bool accumulated() const { return leaves > 1; }
  std::size_t element_bytes(ElementType type) const {
    return kernels::size_of(accumulated() ? kernels::accumulator_of(type) : type);
  }
};

/// How the leaves that one member hosts become its maximal subtrees. Inputs are the leaves.
struct MemberPlan {
  std::vector<std::uint8_t> combines;  ///< for each leaf
  std::vector<FoldedRun> subtrees;
};

/// Pure.
MemberPlan plan_member(RankRange hosted, std::uint32_t leaves);

/// How the maximal subtrees of several members become those of all of them; one, when these are all there
/// are. Inputs are the members' subtrees in order.
struct GroupPlan {
  struct Input {
    std::uint32_t member = 0;
    std::uint32_t subtree = 0;  ///< of that member
    bool accumulated = false;
    std::uint8_t combines = 0;
  };
  std::vector<MemberPlan> members;
  std::vector<Input> inputs;
  std::vector<FoldedRun> results;
  std::uint32_t max_subtrees = 0;  ///< of a member
};

/// `ranges` are contiguous, in order. Pure.
GroupPlan plan_group(std::span<const RankRange> ranges, std::uint32_t leaves);

/// Writes elements [first, first + count) of the subtree into `to`, folding leaves where they are not yet.
void write_subtree(const Signature& signature, const MemberPlan& plan, std::size_t subtree,
                   const Contribution& contribution, Slice elements, void* to);

}  // namespace ds::collective
