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

SlotCount QueueUse::held_above(std::size_t queue, SlotCount below) const {
  const SlotCount beside = used_[tree_[queue].parent].held_by_below - used_[queue].held;
  return beside + std::max<SlotCount>(below, tree_[queue].reserved());
}

/// Shows the queues whose limit of slots does not allow so many more, from the leaf up, until `look` says
/// false.
template <class Look>
void QueueUse::look_at_slot_limits(std::size_t leaf, SlotCount slots, Look look) const {
  SlotCount below = used_[leaf].held_by_below + slots;
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    const QueueSpec& spec = tree_[queue];
    if (queue == TenantTree::kRoot) {
      // Without lending limits the slots of the nodes say as much, and exactly.
      if (is_lending_limited_ && total_slots_ && below > *total_slots_) look(queue);
      return;
    }
    if (const auto most = spec.most(); most && below > *most && !look(queue)) return;
    below = held_above(queue, below);
  }
}

std::optional<std::size_t> QueueUse::find_held(std::size_t leaf, SlotCount more) const {
  SlotCount below = used_[leaf].held_by_below + more;
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    const bool is_root = queue == TenantTree::kRoot;
    const auto limit = tree_[queue].most();
    const auto most = is_root ? total_slots_ : limit ? std::optional<SlotCount>(*limit) : std::nullopt;
    if (most && below > *most && below > used_[queue].held_by_below) return queue;
    if (is_root) return std::nullopt;
    below = held_above(queue, below);
  }
}

std::optional<SlotCount> QueueUse::least_total(std::size_t leaf, const Room& more) const {
  SlotCount below = used_[leaf].held_by_below + more.slots;
  for (std::size_t queue = leaf; queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto limit = tree_[queue].most();
    const auto& gpus = tree_[queue].gpu_limit;
    if (limit && below > *limit) return std::nullopt;
    if (more.gpus > 0 && gpus && used_[queue].all.gpus + more.gpus > *gpus) return std::nullopt;
    below = held_above(queue, below);
  }
  return is_lending_limited_ ? below : SlotCount();
}

std::optional<SlotCount> QueueUse::least_total_to_hold(std::size_t leaf, SlotCount more) const {
  SlotCount below = used_[leaf].held_by_below + more;
  for (std::size_t queue = leaf; queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto limit = tree_[queue].most();
    if (limit && below > *limit && below > used_[queue].held_by_below) return std::nullopt;
    below = held_above(queue, below);
  }
  return below > used_[TenantTree::kRoot].held_by_below ? below : SlotCount();
}

template <class Look>
void QueueUse::look_at_gpu_limits(std::size_t leaf, std::uint64_t gpus, Look look) const {
  for (std::size_t queue = leaf; gpus > 0 && queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto& most = tree_[queue].gpu_limit;
    if (most && used_[queue].all.gpus + gpus > *most && !look(queue)) return;
  }
}

std::optional<std::size_t> QueueUse::find_limit(std::size_t leaf, const Room& more) const {
  std::optional<std::size_t> found;
  const auto note = [&](std::size_t queue) {
    found = queue;
    return false;
  };
  look_at_slot_limits(leaf, more.slots, note);
  if (!found) look_at_gpu_limits(leaf, more.gpus, note);
  return found;
}

std::vector<QueueUse::Limit> QueueUse::find_limits(std::size_t leaf, const Room& more) const {
  std::vector<Limit> found;
  const auto add = [&](bool is_of_gpus) {
    return [&found, is_of_gpus](std::size_t queue) {
      found.push_back({queue, is_of_gpus});
      return true;
    };
  };
  look_at_slot_limits(leaf, more.slots, add(false));
  look_at_gpu_limits(leaf, more.gpus, add(true));
  return found;
}

}  // namespace ds::scheduler
