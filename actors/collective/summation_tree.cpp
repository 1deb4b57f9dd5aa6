#include "actors/collective/summation_tree.hpp"

namespace ds::collective {

TreeNode raised(TreeNode node, std::uint32_t leaves) {
  const auto count_at = [&](std::uint32_t level) { return ((std::uint64_t{leaves} - 1) >> level) + 1; };
  while (node.index % 2 == 0 && count_at(node.level) > 1 && node.index + 1 == count_at(node.level)) {
    node = {node.level + 1, node.index / 2};
  }
  return node;
}

std::optional<TreeNode> joined(TreeNode left, TreeNode right) {
  const bool partners = left.level == right.level && left.index % 2 == 0 && right.index == left.index + 1;
  if (!partners) return std::nullopt;
  return TreeNode{left.level + 1, left.index / 2};
}

std::vector<TreeNode> maximal_subtrees(std::uint32_t first, std::uint32_t last, std::uint32_t leaves) {
  struct Nothing {};
  SubtreeFold<Nothing> fold(leaves);
  for (std::uint32_t leaf = first; leaf < last; ++leaf) {
    fold.push({0, leaf}, Nothing{}, [](Nothing&, Nothing&&) {});
  }
  std::vector<TreeNode> nodes;
  for (const auto& entry : fold.entries()) nodes.push_back(entry.node);
  return nodes;
}

}  // namespace ds::collective
