#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
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
  std::size_t queue;  ///< its leaf
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
/// circles (see `plan_jobs`). Costs what is guaranteed and kept, and these queues times
/// their depth.
///
/// `queues`: a tenant and all below it, in the order of their indices; no tenant is guaranteed anything of
/// another's. `lines`: of these, in this order; each ends up at the first job that gets none of it, and
/// who comes after that one makes no difference. `kept`: likewise. `before` orders jobs of several leaves,
/// `room_of` gives a job's minimum. Pure.
template <class Iterator, class Job, class Before, class RoomOf, class Use>
void for_each_guaranteed(const TenantTree& tree, std::span<const std::size_t> queues,
                         std::vector<ClaimLine<Iterator>>& lines,
                         std::vector<std::vector<KeptRoom<Job>>> kept, Before before, RoomOf room_of,
                         Use use) {
  const bool counts_gpus = tree.guarantees_gpus();
  std::vector<Room> left;
  std::vector<std::size_t> parent, deepest_first;  // places in `queues`
  std::vector<std::vector<ClaimLine<Iterator>*>> below(queues.size());
  for (std::size_t at = 0; at < queues.size(); ++at) {
    const QueueSpec& spec = tree[queues[at]];
    left.push_back({spec.guaranteed, 0, spec.guaranteed_gpus});
    const auto above = std::lower_bound(queues.begin(), queues.end(), spec.parent);
    parent.push_back(static_cast<std::size_t>(above - queues.begin()));
    deepest_first.push_back(at);
    for (std::size_t on = at; lines[at].next != lines[at].end; on = parent[on]) {
      below[on].push_back(&lines[at]);
      if (on == 0) break;
    }
  }
  std::ranges::stable_sort(deepest_first, std::greater(),
                           [&](std::size_t at) { return tree[queues[at]].depth; });
  const auto fits = [&](std::size_t at, const Room& room) {
    return room.slots <= left[at].slots && (!counts_gpus || room.gpus <= left[at].gpus);
  };
  const auto take_from = [&](std::size_t at, const Room& room) {
    left[at].slots -= std::min(left[at].slots, room.slots);
    left[at].gpus -= std::min(left[at].gpus, room.gpus);
  };
  // What a queue guarantees comes out of what those above it do, too.
  const auto take = [&](std::size_t at, const Room& room) {
    for (;; at = parent[at]) {
      take_from(at, room);
      if (at == 0) return;
    }
  };
  const auto is_later = [&](const ClaimLine<Iterator>* a, const ClaimLine<Iterator>* b) {
    return before(*b->next, *a->next);
  };
  for (const std::size_t at : deepest_first) {
    const std::size_t depth = tree[queues[at]].depth;
    std::ranges::stable_sort(kept[at], {}, &KeptRoom<Job>::queue);  // whichever way it came up
    for (const KeptRoom<Job>& one : kept[at]) {
      if (fits(at, one.room)) {
        take(at, one.room);
        use(*one.job, depth, true);
      } else {
        take_from(at, one.room);
        if (at != 0) kept[parent[at]].push_back(one);
      }
    }
    auto& open = below[at];  // a heap: of the lines that have not ended the one whose turn it is comes first
    std::erase_if(open, [](const auto* line) { return line->next == line->end; });
    std::ranges::make_heap(open, is_later);
    while (!open.empty()) {
      std::ranges::pop_heap(open, is_later);
      ClaimLine<Iterator>& first = *open.back();
      Job& job = **first.next;
      const Room room = room_of(job);
      if (!fits(at, room)) break;
      ++first.next;
      use(job, depth, false);
      take(at, room);
      if (first.next == first.end) {
        open.pop_back();
      } else {
        std::ranges::push_heap(open, is_later);
      }
    }
  }
}

}  // namespace ds::scheduler
