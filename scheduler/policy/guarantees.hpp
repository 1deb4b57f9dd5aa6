#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/spec/slot_count.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// The jobs of a leaf that may run, in the order in which they are served, from the first that has no
/// guarantee yet. `Iterator` gives pointers to jobs.
template <class Iterator>
struct ClaimLine {
  Iterator next, end;
};

/// What a job keeps whatever others are guaranteed.
template <class Job>
struct KeptSlots {
  Job* job;
  SlotCount slots;
};

/// Calls `use(job, levels, is_kept)` for each job whose minimum is within guaranteed slots: at how many
/// levels of the tree, counted from the root.
///
/// A leaf's guaranteed slots go to its first jobs, up to the first that they are not enough for; what a queue
/// is guaranteed beyond its children's goes to the first of the others below it, likewise. So a job that is
/// within its leaf's guarantee is within those of all queues above, and of two jobs of a leaf the earlier is
/// guaranteed at no fewer levels. What jobs keep that nobody gets back comes out of it before: of a queue for
/// which it is too much nothing is left. The answer depends on what jobs there are and not on what runs, but
/// for those: that is what lets reclaiming never go in circles (see `plan_jobs`). Costs what is guaranteed
/// and kept, not what there is.
///
/// `lines`: by queue. `before` orders jobs of several leaves, `slots_of` gives a job's minimum and `queue_of`
/// its leaf. Pure.
template <class Iterator, class Job, class Before, class SlotsOf, class QueueOf, class Use>
void for_each_guaranteed(const TenantTree& tree, std::vector<ClaimLine<Iterator>> lines,
                         std::vector<KeptSlots<Job>> kept, Before before, SlotsOf slots_of, QueueOf queue_of,
                         Use use) {
  std::vector<SlotCount> left(tree.queues.size());
  for (std::size_t queue = 0; queue < left.size(); ++queue) left[queue] = tree[queue].guaranteed;
  std::size_t deepest = 0;
  for (const QueueSpec& queue : tree.queues) deepest = std::max(deepest, queue.depth);
  // What a queue guarantees comes out of the slots of those above it, too.
  const auto take = [&](std::size_t queue, SlotCount slots) {
    for (std::size_t above = queue; above != TenantTree::kRoot; above = tree[above].parent)
      left[above] -= std::min(left[above], slots);
  };
  for (std::size_t depth = deepest; depth > 0; --depth) {
    for (std::size_t queue = 0; queue < left.size(); ++queue) {
      if (tree[queue].depth != depth) continue;
      std::erase_if(kept, [&](const KeptSlots<Job>& one) {
        if (!tree.is_below(queue_of(*one.job), queue)) return false;
        if (one.slots > left[queue]) {
          left[queue] = 0;
          return false;
        }
        take(queue, one.slots);
        use(*one.job, depth, true);
        return true;
      });
      std::vector<ClaimLine<Iterator>*> below;
      for (std::size_t leaf = queue; leaf < lines.size(); ++leaf) {
        if (lines[leaf].next != lines[leaf].end && tree.is_below(leaf, queue)) below.push_back(&lines[leaf]);
      }
      while (true) {
        ClaimLine<Iterator>* first = nullptr;
        for (ClaimLine<Iterator>* line : below) {
          if (line->next == line->end) continue;
          if (first == nullptr || before(*line->next, *first->next)) first = line;
        }
        if (first == nullptr) break;
        auto* const job = *first->next;
        const SlotCount slots = slots_of(*job);
        if (slots > left[queue]) break;
        ++first->next;
        use(*job, depth, false);
        take(queue, slots);
      }
    }
  }
}

}  // namespace ds::scheduler
