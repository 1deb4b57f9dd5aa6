#include "actors/collective/fold_plan.hpp"

#include <algorithm>
#include <cstring>

namespace ds::collective {
namespace {

std::uint32_t leaves_below(TreeNode node, std::uint32_t leaves) {
  const std::uint64_t first = std::uint64_t{node.index} << node.level;
  const std::uint64_t last = std::min<std::uint64_t>(leaves, (std::uint64_t{node.index} + 1) << node.level);
  return static_cast<std::uint32_t>(last - first);
}

struct Folding {
  std::vector<std::uint8_t> combines;
  std::vector<FoldedRun> runs;
};

/// What happens when `nodes`, neighbours from left to right, are pushed one after another.
Folding fold(std::span<const TreeNode> nodes, std::uint32_t leaves) {
  struct Run {
    std::uint32_t first = 0, count = 0;
  };
  Folding folding;
  SubtreeFold<Run> stack(leaves);
  for (std::uint32_t input = 0; input < nodes.size(); ++input) {
    std::uint8_t combines = 0;
    stack.push(nodes[input], Run{input, 1}, [&](Run& left, Run&& right) {
      left.count += right.count;
      ++combines;
    });
    folding.combines.push_back(combines);
  }
  for (const auto& entry : stack.entries())
    folding.runs.push_back(
        {entry.node, entry.value.first, entry.value.count, leaves_below(entry.node, leaves)});
  return folding;
}

}  // namespace

MemberPlan plan_member(RankRange hosted, std::uint32_t leaves) {
  std::vector<TreeNode> nodes;
  for (std::uint32_t leaf = hosted.first; leaf < hosted.last; ++leaf) nodes.push_back({0, leaf});
  Folding folding = fold(nodes, leaves);
  return {std::move(folding.combines), std::move(folding.runs)};
}

GroupPlan plan_group(std::span<const RankRange> ranges, std::uint32_t leaves) {
  GroupPlan plan;
  std::vector<TreeNode> nodes;
  for (std::uint32_t member = 0; member < ranges.size(); ++member) {
    plan.members.push_back(plan_member(ranges[member], leaves));
    const auto& subtrees = plan.members.back().subtrees;
    plan.max_subtrees = std::max(plan.max_subtrees, static_cast<std::uint32_t>(subtrees.size()));
    for (std::uint32_t i = 0; i < subtrees.size(); ++i) {
      nodes.push_back(subtrees[i].node);
      plan.inputs.push_back({member, i, subtrees[i].accumulated(), 0});
    }
  }
  Folding folding = fold(nodes, leaves);
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) plan.inputs[i].combines = folding.combines[i];
  plan.results = std::move(folding.runs);
  return plan;
}

void write_subtree(const Signature& signature, const MemberPlan& plan, std::size_t subtree,
                   const Contribution& contribution, Slice elements, void* to) {
  const FoldedRun& run = plan.subtrees[subtree];
  const std::size_t size = run.element_bytes(signature.type);
  const auto at = [&](const void* vector, std::size_t bytes) {
    return static_cast<const std::byte*>(vector) + elements.first * bytes;
  };
  if (elements.size() == 0) return;
  if (contribution.folded || run.count == 1) {
    const void* vector = contribution.vectors[contribution.folded ? subtree : run.first];
    std::memcpy(to, at(vector, size), elements.size() * size);
    return;
  }
  thread_local std::vector<kernels::TreeInput> inputs;  // kept, so that steady work allocates nothing
  inputs.clear();
  for (std::uint32_t leaf = run.first; leaf < run.first + run.count; ++leaf) {
    inputs.push_back(
        {at(contribution.vectors[leaf], kernels::size_of(signature.type)), false, plan.combines[leaf]});
  }
  void* const outputs[] = {to};
  kernels::reduce_tree({signature.type, signature.op, inputs, outputs, elements.size(), false, false});
}

}  // namespace ds::collective
