#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace ds::collective {

/// A node of the fixed tree over `leaves` leaves: at `level` the nodes are numbered from 0, node k of level l
/// covers the leaves [k * 2^l, (k + 1) * 2^l) as far as there are any.
struct TreeNode {
  std::uint32_t level = 0;
  std::uint32_t index = 0;
  bool operator==(const TreeNode&) const = default;
};

/// The node with the same leaves that stands highest: a node without a partner to its right moves up
/// unchanged. Pure.
TreeNode raised(TreeNode node, std::uint32_t leaves);

/// The parent, when `right` is the right partner of `left`; else nothing. Pure.
std::optional<TreeNode> joined(TreeNode left, TreeNode right);

/// Folds nodes that arrive in leaf order like a binary counter: as soon as both partners are there, they
/// become their parent.
///
/// What remains are the maximal subtrees of the leaves that were pushed, at most two a level; of all leaves,
/// the root alone.
template <class Value>
class SubtreeFold {
 public:
  struct Entry {
    TreeNode node;
    Value value;
  };

  explicit SubtreeFold(std::uint32_t leaves) : leaves_(leaves) {}

  /// Takes the next node to the right. `combine(Value& left, Value&& right)` leaves the sum in `left`.
  template <class Combine>
  void push(TreeNode node, Value value, Combine&& combine) {
    entries_.push_back({raised(node, leaves_), std::move(value)});
    while (entries_.size() >= 2) {
      Entry& right = entries_.back();
      Entry& left = entries_[entries_.size() - 2];
      const std::optional<TreeNode> parent = joined(left.node, right.node);
      if (!parent) break;
      combine(left.value, std::move(right.value));
      left.node = raised(*parent, leaves_);
      entries_.pop_back();
    }
  }

  std::vector<Entry>& entries() { return entries_; }

 private:
  std::uint32_t leaves_;
  std::vector<Entry> entries_;
};

/// The maximal subtrees that the leaves [first, last) of a tree over `leaves` leaves make up, from left to
/// right. Pure.
std::vector<TreeNode> maximal_subtrees(std::uint32_t first, std::uint32_t last, std::uint32_t leaves);

}  // namespace ds::collective
