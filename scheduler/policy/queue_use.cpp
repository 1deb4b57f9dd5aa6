#include "scheduler/policy/queue_use.hpp"

#include <algorithm>

namespace ds::scheduler {

QueueUse::QueueUse(const TenantTree& tree, std::optional<SlotCount> total_slots)
    : tree_(tree), total_slots_(total_slots), used_(tree.queues.size()) {
  for (std::size_t queue = used_.size(); queue-- > 0;) {  // children before their parents
    used_[queue].held = std::max<SlotCount>(used_[queue].held_by_below, tree_[queue].reserved());
    is_lending_limited_ = is_lending_limited_ || tree_[queue].reserved() > 0;
    if (queue != TenantTree::kRoot) used_[tree_[queue].parent].held_by_below += used_[queue].held;
  }
}

void QueueUse::change(std::size_t leaf, const Room& room, bool more) {
  SlotCount before, after;  // what the child on the way held
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    Used& used = used_[queue];
    used.all = more ? plus(used.all, room) : minus(used.all, room);
    if (queue == leaf) {
      used.held_by_below = more ? used.held_by_below + room.slots : used.held_by_below - room.slots;
    } else {
      used.held_by_below = used.held_by_below - before + after;
    }
    before = used.held;
    used.held = std::max<SlotCount>(used.held_by_below, tree_[queue].reserved());
    after = used.held;
    if (queue == TenantTree::kRoot) return;
  }
}

std::optional<std::size_t> QueueUse::find_limit(std::size_t leaf, const Room& more) const {
  if (const auto limit = find_slot_limit(leaf, more.slots)) return limit;
  for (std::size_t queue = leaf; more.gpus > 0 && queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto& most = tree_[queue].gpu_limit;
    if (most && used_[queue].all.gpus + more.gpus > *most) return queue;
  }
  return std::nullopt;
}

std::optional<std::size_t> QueueUse::find_slot_limit(std::size_t leaf, SlotCount slots) const {
  SlotCount below = used_[leaf].held_by_below + slots;
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    const QueueSpec& spec = tree_[queue];
    if (queue == TenantTree::kRoot) {
      // Without lending limits the slots of the nodes say as much, and exactly.
      const bool is_short = is_lending_limited_ && total_slots_ && below > *total_slots_;
      return is_short ? std::optional(queue) : std::nullopt;
    }
    if (const auto most = spec.most(); most && below > *most) return queue;
    const Used& parent = used_[spec.parent];
    below = parent.held_by_below - used_[queue].held + std::max<SlotCount>(below, spec.reserved());
  }
}

}  // namespace ds::scheduler
