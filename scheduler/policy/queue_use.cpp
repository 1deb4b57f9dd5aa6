#include "scheduler/policy/queue_use.hpp"

#include <algorithm>

namespace ds::scheduler {
namespace {

constexpr auto slots_of = [](const Room& room) { return room.slots; };
constexpr auto gpus_of = [](const Room& room) { return room.gpus; };

}  // namespace

QueueUse::QueueUse(const TenantTree& tree, const std::optional<Room>& total, Lending lending)
    : tree_(tree),
      total_(total),
      lending_(lending),
      counts_gpus_(tree.guarantees_gpus()),
      used_(tree.queues.size()) {
  for (std::size_t queue = used_.size(); queue-- > 0;) {  // children before their parents
    used_[queue].held = held_with(queue, used_[queue].held_by_below);
    is_lending_limited_ = is_lending_limited_ || reserved(queue).slots > 0;
    if (queue == TenantTree::kRoot) continue;
    Room& above = used_[tree_[queue].parent].held_by_below;
    above = plus(above, used_[queue].held);
  }
}

/// What is kept for the queue even while it does not use it.
Room QueueUse::reserved(std::size_t queue) const {
  if (lending_ == Lending::as_told) return {tree_[queue].reserved(), 0, 0};
  return {tree_[queue].guaranteed, 0, tree_[queue].guaranteed_gpus};
}

/// By the queue, if so much is by those below.
Room QueueUse::held_with(std::size_t queue, const Room& below) const {
  const Room least = reserved(queue);
  return {std::max(below.slots, least.slots), 0, std::max(below.gpus, least.gpus)};
}

void QueueUse::change(std::size_t leaf, const Room& room, bool more) {
  Room before, after;  // what the child on the way held
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    Used& used = used_[queue];
    used.all = more ? plus(used.all, room) : minus(used.all, room);
    if (queue == leaf) {
      used.held_by_below = more ? plus(used.held_by_below, room) : minus(used.held_by_below, room);
    } else {
      used.held_by_below = plus(minus(used.held_by_below, before), after);
    }
    before = used.held;
    used.held = held_with(queue, used.held_by_below);
    after = used.held;
    if (queue == TenantTree::kRoot) return;
  }
}

/// Shows the queues whose limit of slots does not allow so many more, from the leaf up, until `look` says
/// false.
template <class Look>
void QueueUse::look_at_slot_limits(std::size_t leaf, SlotCount slots, Look look) const {
  SlotCount below = used_[leaf].held_by_below.slots + slots;
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    const QueueSpec& spec = tree_[queue];
    if (queue == TenantTree::kRoot) {
      // Without lending limits the slots of the nodes say as much, and exactly.
      if (is_lending_limited_ && total_ && below > total_->slots) look(queue);
      return;
    }
    if (const auto most = spec.most(); most && below > *most && !look(queue)) return;
    below = held_above(queue, below, slots_of);
  }
}

/// Of slots or of GPUs: `of` gives either of a room, `most_of` what a queue may have of it. Shows the queues
/// that would hold too much, from the leaf up; false: `look` said so, and no more are shown.
template <class Of, class MostOf, class Look>
bool QueueUse::look_at_held_of(std::size_t leaf, const Room& more, Of of, MostOf most_of, Look look) const {
  auto below = of(used_[leaf].held_by_below) + of(more);
  for (std::size_t queue = leaf;; queue = tree_[queue].parent) {
    const auto most = most_of(queue);
    if (most && below > *most && below > of(used_[queue].held_by_below) && !look(queue)) return false;
    if (queue == TenantTree::kRoot) return true;
    below = held_above(queue, below, of);
  }
}

/// Shows all that `find_held` may find, until `look` says false.
template <class Look>
void QueueUse::look_at_held(std::size_t leaf, const Room& more, Look look) const {
  const auto most_slots = [&](std::size_t queue) -> std::optional<SlotCount> {
    if (queue == TenantTree::kRoot) return total_ ? std::optional(total_->slots) : std::nullopt;
    return tree_[queue].most();
  };
  const auto look_at = [&](bool is_of_gpus) {
    return [&look, is_of_gpus](std::size_t queue) { return look(Limit{queue, is_of_gpus}); };
  };
  if (!look_at_held_of(leaf, more, slots_of, most_slots, look_at(false)) || !goes_by_gpus(more)) return;
  const auto most_gpus = [&](std::size_t queue) {
    if (queue == TenantTree::kRoot) return total_ ? std::optional(total_->gpus) : std::nullopt;
    return tree_[queue].gpu_limit;
  };
  look_at_held_of(leaf, more, gpus_of, most_gpus, look_at(true));
}

std::optional<QueueUse::Limit> QueueUse::find_held(std::size_t leaf, const Room& more) const {
  std::optional<Limit> found;
  look_at_held(leaf, more, [&](const Limit& limit) {
    found = limit;
    return false;
  });
  return found;
}

std::vector<QueueUse::Limit> QueueUse::find_all_held(std::size_t leaf, const Room& more) const {
  std::vector<Limit> found;
  look_at_held(leaf, more, [&](const Limit& limit) {
    found.push_back(limit);
    return true;
  });
  return found;
}

std::optional<Room> QueueUse::least_total(std::size_t leaf, const Room& more) const {
  SlotCount below = used_[leaf].held_by_below.slots + more.slots;
  for (std::size_t queue = leaf; queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto limit = tree_[queue].most();
    const auto& gpus = tree_[queue].gpu_limit;
    if (limit && below > *limit) return std::nullopt;
    if (more.gpus > 0 && gpus && used_[queue].all.gpus + more.gpus > *gpus) return std::nullopt;
    below = held_above(queue, below, slots_of);
  }
  return is_lending_limited_ ? Room{below, 0, 0} : Room{};
}

/// As `find_held_of`: what there must be of either.
template <class Of, class LimitOf>
auto QueueUse::least_to_hold_of(std::size_t leaf, const Room& more, Of of, LimitOf limit_of) const
    -> std::optional<decltype(of(more))> {
  auto below = of(used_[leaf].held_by_below) + of(more);
  for (std::size_t queue = leaf; queue != TenantTree::kRoot; queue = tree_[queue].parent) {
    const auto limit = limit_of(queue);
    if (limit && below > *limit && below > of(used_[queue].held_by_below)) return std::nullopt;
    below = held_above(queue, below, of);
  }
  return below > of(used_[TenantTree::kRoot].held_by_below) ? below : decltype(of(more))();
}

std::optional<Room> QueueUse::least_total_to_hold(std::size_t leaf, const Room& more) const {
  const auto slots =
      least_to_hold_of(leaf, more, slots_of, [&](std::size_t queue) { return tree_[queue].most(); });
  if (!slots || !goes_by_gpus(more)) return slots ? std::optional(Room{*slots, 0, 0}) : std::nullopt;
  const auto gpus =
      least_to_hold_of(leaf, more, gpus_of, [&](std::size_t queue) { return tree_[queue].gpu_limit; });
  return gpus ? std::optional(Room{*slots, 0, *gpus}) : std::nullopt;
}

Room QueueUse::held_beyond_guarantee(std::size_t queue) const {
  const auto& [slots, memory, gpus] = used_[queue].held;
  const QueueSpec& spec = tree_[queue];
  return {slots > spec.guaranteed ? slots - spec.guaranteed : SlotCount(), 0,
          gpus > spec.guaranteed_gpus ? gpus - spec.guaranteed_gpus : 0};
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
