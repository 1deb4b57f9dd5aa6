#include "actors/collective/summation_tree.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ds::collective {
namespace {

/// The tree by its definition, level by level, each sum written with parentheses.
std::string by_definition(std::uint32_t leaves) {
  std::vector<std::string> nodes;
  for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) nodes.push_back(std::to_string(leaf));
  while (nodes.size() > 1) {
    std::vector<std::string> parents;
    for (std::size_t k = 0; k < nodes.size(); k += 2) {
      parents.push_back(k + 1 < nodes.size() ? "(" + nodes[k] + "+" + nodes[k + 1] + ")" : nodes[k]);
    }
    nodes = std::move(parents);
  }
  return nodes.front();
}

void write_sum(std::string& left, std::string&& right) {
  left = "(" + left + "+" + right + ")";
}

TEST(SummationTree, FoldsAllLeavesIntoTheTreeOfTheDefinition) {
  for (std::uint32_t leaves = 1; leaves <= 70; ++leaves) {
    SubtreeFold<std::string> fold(leaves);
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) fold.push({0, leaf}, std::to_string(leaf), write_sum);
    ASSERT_EQ(fold.entries().size(), 1U) << leaves;
    EXPECT_EQ(fold.entries().front().value, by_definition(leaves));
  }
}

TEST(SummationTree, GivesTheSameTreeForEveryCutIntoThreeMembers) {
  for (std::uint32_t leaves = 1; leaves <= 20; ++leaves) {
    for (std::uint32_t a = 0; a <= leaves; ++a) {
      for (std::uint32_t b = a; b <= leaves; ++b) {
        SubtreeFold<std::string> whole(leaves);
        for (const auto& [first, last] : {std::pair(0U, a), std::pair(a, b), std::pair(b, leaves)}) {
          SubtreeFold<std::string> part(leaves);
          for (std::uint32_t leaf = first; leaf < last; ++leaf)
            part.push({0, leaf}, std::to_string(leaf), write_sum);
          for (auto& entry : part.entries()) whole.push(entry.node, std::move(entry.value), write_sum);
        }
        ASSERT_EQ(whole.entries().size(), 1U);
        ASSERT_EQ(whole.entries().front().value, by_definition(leaves))
            << leaves << " cut at " << a << ", " << b;
      }
    }
  }
}

TEST(SummationTree, LeavesAtMostTwoSubtreesALevel) {
  for (std::uint32_t first = 0; first < 100; ++first) {
    for (std::uint32_t last = first; last <= 100; ++last) {
      const std::vector<TreeNode> nodes = maximal_subtrees(first, last, 100);
      std::vector<int> at_level(8);
      for (const TreeNode& node : nodes) ++at_level.at(node.level);
      for (const int count : at_level) ASSERT_LE(count, 2) << first << ".." << last;
    }
  }
}

TEST(SummationTree, IsOneSubtreeForAnAlignedPowerOfTwo) {
  EXPECT_EQ(maximal_subtrees(8, 12, 16), (std::vector<TreeNode>{{2, 2}}));
  EXPECT_EQ(maximal_subtrees(1, 3, 4), (std::vector<TreeNode>{{0, 1}, {0, 2}}));
  EXPECT_TRUE(maximal_subtrees(3, 3, 4).empty());
}

TEST(SummationTree, CopesWithTheLargestNumberOfLeaves) {
  EXPECT_EQ(raised({0, 0xFFFFFFFEU}, 0xFFFFFFFFU), (TreeNode{1, 0x7FFFFFFFU}));
}

}  // namespace
}  // namespace ds::collective
