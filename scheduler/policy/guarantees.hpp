#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/policy/room.hpp"
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
struct KeptRoom {
  Job* job;
  Room room;
};

/// Calls `use(job, levels, is_kept)` for each job whose minimum is within what is guaranteed, of slots and,
/// where anybody is guaranteed those, of GPUs: at how many levels of the tree, counted from the root.
///
/// What a leaf is guaranteed goes to its first jobs, up to the first that it is not enough for, whichever of
/// both is short; what a queue is guaranteed beyond its children's goes to the first of the others below it,
/// likewise. So a job that is within its leaf's guarantee is within those of all queues above, and of two
/// jobs of a leaf the earlier is guaranteed at no fewer levels. What jobs keep that nobody gets back comes
/// out of it before: of a queue for which it is too much nothing is left of what is short. The answer depends
/// on what jobs there are and not on what runs, but for those: that is what lets reclaiming never go in
/// circles (see `plan_jobs`). Costs what is guaranteed and kept, not what there is.
///
/// `lines`: by queue. `before` orders jobs of several leaves, `room_of` gives a job's minimum and `queue_of`
/// its leaf. Pure.
template <class Iterator, class Job, class Before, class RoomOf, class QueueOf, class Use>
void for_each_guaranteed(const TenantTree& tree, std::vector<ClaimLine<Iterator>> lines,
                         std::vector<KeptRoom<Job>> kept, Before before, RoomOf room_of, QueueOf queue_of,
                         Use use) {
  const bool counts_gpus = tree.guarantees_gpus();
  std::vector<Room> left(tree.queues.size());
  for (std::size_t queue = 0; queue < left.size(); ++queue)
    left[queue] = {tree[queue].guaranteed, 0, tree[queue].guaranteed_gpus};
  const auto fits = [&](std::size_t queue, const Room& room) {
    return room.slots <= left[queue].slots && (!counts_gpus || room.gpus <= left[queue].gpus);
  };
  const auto take_from = [&](std::size_t queue, const Room& room) {
    left[queue].slots -= std::min(left[queue].slots, room.slots);
    left[queue].gpus -= std::min(left[queue].gpus, room.gpus);
  };
  std::size_t deepest = 0;
  for (const QueueSpec& queue : tree.queues) deepest = std::max(deepest, queue.depth);
  // What a queue guarantees comes out of what those above it do, too.
  const auto take = [&](std::size_t queue, const Room& room) {
    for (std::size_t above = queue; above != TenantTree::kRoot; above = tree[above].parent)
      take_from(above, room);
  };
  for (std::size_t depth = deepest; depth > 0; --depth) {
    for (std::size_t queue = 0; queue < left.size(); ++queue) {
      if (tree[queue].depth != depth) continue;
      std::erase_if(kept, [&](const KeptRoom<Job>& one) {
        if (!tree.is_below(queue_of(*one.job), queue)) return false;
        if (!fits(queue, one.room)) {
          take_from(queue, one.room);
          return false;
        }
        take(queue, one.room);
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
        const Room room = room_of(*job);
        if (!fits(queue, room)) break;
        ++first->next;
        use(*job, depth, false);
        take(queue, room);
      }
    }
  }
}

}  // namespace ds::scheduler
