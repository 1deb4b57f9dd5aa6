#include "scheduler/policy/guarantees.hpp"

#include <algorithm>

namespace ds::scheduler {

std::vector<std::size_t> count_guaranteed_levels(const TenantTree& tree,
                                                 std::span<const MinimumClaim> claims) {
  std::vector<std::size_t> levels(claims.size(), 0);
  std::size_t deepest = 0;
  for (const QueueSpec& queue : tree.queues) deepest = std::max(deepest, queue.depth);
  struct Budget {
    std::uint64_t left = 0;
    bool is_closed = false;
  };
  std::vector<Budget> budgets(tree.queues.size());
  for (std::size_t i = 0; i < budgets.size(); ++i) budgets[i].left = tree[i].guaranteed;
  std::vector<std::size_t> at(claims.size());  // each claim's queue at the depth in hand, or its leaf
  for (std::size_t i = 0; i < claims.size(); ++i) at[i] = claims[i].queue;
  for (std::size_t depth = deepest; depth > 0; --depth) {
    for (const bool earlier : {true, false}) {
      for (std::size_t i = 0; i < claims.size(); ++i) {
        if (!claims[i].may_run || tree[at[i]].depth != depth) continue;
        Budget& budget = budgets[at[i]];
        if (earlier) {  // those that a queue below guarantees come out of this one's slots too
          if (levels[i] > 0) budget.left -= claims[i].slots;
        } else if (levels[i] == 0) {
          budget.is_closed = budget.is_closed || claims[i].slots > budget.left;
          if (budget.is_closed) continue;
          budget.left -= claims[i].slots;
          levels[i] = depth;
        }
      }
    }
    for (std::size_t i = 0; i < claims.size(); ++i) {
      if (tree[at[i]].depth == depth) at[i] = tree[at[i]].parent;
    }
  }
  return levels;
}

}  // namespace ds::scheduler
