#include "scheduler/policy/capacity.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "scheduler/policy/gpu_kind.hpp"

namespace ds::scheduler {
namespace {

/// So many sizes are counted while nodes change; each change costs that many.
constexpr std::size_t kMaxSizes = 512;

template <class Amount>
Amount subtract_or_zero(Amount a, Amount b) {
  return a > b ? a - b : Amount{};
}

}  // namespace

WorkerSize size_of(const Demand& demand) {
  return {demand.slots, std::min(demand.memory_bytes, kMaxMemoryBytes + 1), demand.gpus,
          demand.gpus > 0 ? demand.gpu_kind : std::string()};
}

std::uint64_t most_displaced(const WorkerSize& size, const WorkerSize& piece) {
  const auto share = [](std::uint64_t taken, std::uint64_t of) {
    return of == 0 ? 0 : (taken + of - 1) / of;
  };
  return std::max({share(size.slots.thousandths(), piece.slots.thousandths()),
                   share(size.memory_bytes, piece.memory_bytes), share(size.gpus, piece.gpus)});
}

WorkerSize together(const WorkerSize& size, std::uint32_t count) {
  return {size.slots * count, std::min(size.memory_bytes * count, kMaxMemoryBytes + 1), size.gpus * count,
          size.gpu_kind};
}

WorkerSize size_of(const Lease& lease) {
  return {lease.slots, std::min(lease.memory_bytes, kMaxMemoryBytes + 1),
          static_cast<std::uint32_t>(lease.devices.size())};
}

Room room_of(const WorkerSize& size, std::uint32_t workers) {
  return {workers * size.slots, workers * size.memory_bytes, std::uint64_t{workers} * size.gpus};
}

std::uint64_t count_fitting(const Room& room, const WorkerSize& size) {
  std::uint64_t count = std::numeric_limits<std::uint32_t>::max();
  if (size.slots > 0) count = std::min(count, size.slots.fits_into(room.slots));
  if (size.memory_bytes > 0) count = std::min(count, room.memory_bytes / size.memory_bytes);
  if (size.gpus > 0) count = std::min(count, room.gpus / size.gpus);
  return count;
}

std::size_t Capacity::add_node(NodeView node) {
  std::size_t index = nodes_.size();
  if (vacant_.empty()) {
    nodes_.emplace_back();
    names_.emplace_back();
    now_.emplace_back();
    later_.emplace_back();
    class_of_.push_back(0);
  } else {
    index = vacant_.back();
    vacant_.pop_back();
  }
  names_[index] = index_.emplace(node.id, index).first->first;
  class_of_[index] = class_for(node);
  nodes_[index] = std::move(node);
  if (class_of_[index] > 0) {
    classes_[class_of_[index]].nodes.insert(names_[index]);
    order_classes();
  }
  count_node(index, true);
  return index;
}

void Capacity::remove_node(std::string_view name) {
  const auto known = index_.find(name);
  const std::size_t index = known->second;
  count_node(index, false);
  if (class_of_[index] > 0) {
    classes_[class_of_[index]].nodes.erase(names_[index]);
    order_classes();
  }
  nodes_[index] = NodeView();
  nodes_[index].available = false;
  names_[index] = {};
  class_of_[index] = 0;
  vacant_.push_back(index);
  index_.erase(known);
}

/// A kind that was seen once stays, without nodes.
std::size_t Capacity::class_for(const NodeView& node) {
  if (node.gpus == 0) return 0;
  const auto known = std::ranges::find(classes_.begin() + 1, classes_.end(), node.gpu_kind, &Class::kind);
  if (known != classes_.end()) return static_cast<std::size_t>(known - classes_.begin());
  order_of_classes_.push_back(classes_.size());
  classes_.push_back({.kind = node.gpu_kind, .nodes = {}, .by_slots = {}, .by_gpus = {}});
  kinds_.clear();
  counts_.clear();
  return classes_.size() - 1;
}

/// Those without nodes come last.
void Capacity::order_classes() {
  const auto first_of = [this](std::size_t one) {
    const auto& nodes = classes_[one].nodes;
    return std::pair(nodes.empty(), nodes.empty() ? std::string_view() : *nodes.begin());
  };
  std::ranges::sort(order_of_classes_.begin() + 1, order_of_classes_.end(), {}, first_of);
}

/// Whose room is all free.
void Capacity::count_node(std::size_t node, bool more) {
  if (!nodes_[node].available) return;
  const Room room = total(node);
  std::uint64_t& gpus = classes_[class_of_[node]].gpus;
  gpus = more ? gpus + room.gpus : gpus - room.gpus;
  more ? enter(node, room) : leave(node, room);
  free_later_ = more ? plus(free_later_, room) : minus(free_later_, room);
  change_counts(node, [&](const WorkerSize& size, Count& count) {
    const std::uint64_t fitting = count_fitting(room, size);
    count.placeable = more ? count.placeable + fitting : count.placeable - fitting;
    count.later = more ? count.later + fitting : count.later - fitting;
  });
}

void Capacity::enter(std::size_t node, const Room& room) {
  Class& its = classes_[class_of_[node]];
  const Named named{names_[node], node};
  its.by_slots.emplace(room.slots, room.memory_bytes, named);
  if (class_of_[node] > 0) its.by_gpus.emplace(room.gpus, room.slots, room.memory_bytes, named);
  its.placeable_gpus += room.gpus;
  placeable_slots_ += room.slots;
}

void Capacity::leave(std::size_t node, const Room& room) {
  Class& its = classes_[class_of_[node]];
  const Named named{names_[node], node};
  its.by_slots.erase({room.slots, room.memory_bytes, named});
  if (class_of_[node] > 0) its.by_gpus.erase({room.gpus, room.slots, room.memory_bytes, named});
  its.placeable_gpus -= room.gpus;
  placeable_slots_ -= room.slots;
}

std::vector<GpuCount> Capacity::gpus() const {
  std::vector<GpuCount> counts;
  for (const Class& one : classes_) {
    if (one.gpus > 0) counts.push_back({one.kind, one.gpus, one.placeable_gpus});
  }
  std::ranges::sort(counts, {}, &GpuCount::kind);
  return counts;
}

const std::vector<bool>& Capacity::classes_of(const std::string& kind) const {
  const auto known = kinds_.find(kind);
  if (known != kinds_.end()) return known->second;
  if (kinds_.size() == kMaxSizes) kinds_.clear();
  std::vector<bool>& classes = kinds_[kind];
  for (std::size_t i = 0; i < classes_.size(); ++i)
    classes.push_back(i > 0 && is_gpu_kind(kind, classes_[i].kind));
  return classes;
}

std::size_t Capacity::index_of(std::string_view node) const {
  const auto found = index_.find(node);
  return found == index_.end() ? kUnknownNode : found->second;
}

Room Capacity::total(std::size_t node) const {
  return {nodes_[node].slots, std::min(nodes_[node].memory_bytes, kMaxMemoryBytes), nodes_[node].gpus};
}

Room Capacity::placeable(std::size_t node) const {
  const Room now = free_now(node);
  const Room later = free_later(node);
  return {std::min(now.slots, later.slots), std::min(now.memory_bytes, later.memory_bytes),
          std::min(now.gpus, later.gpus)};
}

Room Capacity::left(std::size_t node, const Room& used) const {
  if (!nodes_[node].available) return {};
  const Room all = total(node);
  return {subtract_or_zero(all.slots, used.slots), subtract_or_zero(all.memory_bytes, used.memory_bytes),
          subtract_or_zero(all.gpus, used.gpus)};
}

const Capacity::Counts& Capacity::counts_of(const WorkerSize& size) const {
  const auto known = counts_.find(size);
  if (known != counts_.end()) return known->second;
  if (counts_.size() == kMaxSizes) counts_.clear();
  Counts& counts = counts_[size];
  counts.by_kind.resize(classes_.size());
  if (size.gpus > 0) counts.has_kind = classes_of(size.gpu_kind);
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (!nodes_[node].available || (size.gpus > 0 && !has_kind(counts.has_kind, node))) continue;
    for (Count* count : {static_cast<Count*>(&counts), &counts.by_kind[class_of_[node]]}) {
      count->placeable += count_fitting(placeable(node), size);
      count->later += count_fitting(free_later(node), size);
    }
  }
  return counts;
}

std::optional<std::size_t> Capacity::fullest_placeable(const WorkerSize& size) const {
  std::optional<std::size_t> first;
  for_each_placeable(size, [&](std::size_t node) {
    first = node;
    return false;
  });
  return first;
}

std::optional<std::size_t> Capacity::choose_for(const WorkerSize& size, std::uint32_t count, std::size_t kind,
                                                std::size_t except) const {
  if (size.gpus > 0 && !classes_of(size.gpu_kind)[kind]) return std::nullopt;
  const auto whole = fullest_of(together(size, count), kind, except);
  if (whole || count == 1) return whole;
  const auto most = emptiest_of(size, kind, except);
  if (!most) return std::nullopt;
  const auto fitting =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(count_fitting(placeable(*most), size), count));
  const auto fullest = fullest_of(together(size, fitting), kind, except);
  return fullest ? fullest : most;
}

/// The fullest node that has room for this.
std::optional<std::size_t> Capacity::fullest_of(const WorkerSize& size, std::size_t kind,
                                                std::size_t except) const {
  std::size_t tried = 0;
  const auto find = [&](auto one, auto end) -> std::optional<std::size_t> {
    for (; one != end && tried < kMaxNodesTried; ++one, ++tried) {
      const std::size_t node = std::get<Named>(*one).index;
      if (node != except && count_fitting(placeable(node), size) > 0) return node;
    }
    return std::nullopt;
  };
  const Class& its = classes_[kind];
  return size.gpus > 0 ? find(its.by_gpus.lower_bound({size.gpus, 0, 0, {}}), its.by_gpus.end())
                       : find(its.by_slots.lower_bound({size.slots, 0, {}}), its.by_slots.end());
}

/// The node on which most workers of this size have room; of equals the last.
std::optional<std::size_t> Capacity::emptiest_of(const WorkerSize& size, std::size_t kind,
                                                 std::size_t except) const {
  std::optional<std::size_t> best;
  std::uint64_t most = 0;
  std::size_t tried = 0;
  // The emptiest first: the next can hold no more than `at_most` of what it has most of.
  const auto find = [&](auto one, auto end, auto at_most) {
    for (; one != end && tried < kMaxNodesTried && at_most(std::get<0>(*one)) > most; ++one, ++tried) {
      const std::size_t node = std::get<Named>(*one).index;
      const std::uint64_t fitting = node == except ? 0 : count_fitting(placeable(node), size);
      if (fitting <= most) continue;
      most = fitting;
      best = node;
    }
  };
  const Class& its = classes_[kind];
  if (size.gpus > 0) {
    find(its.by_gpus.rbegin(), its.by_gpus.rend(), [&](std::uint64_t gpus) { return gpus / size.gpus; });
  } else {
    find(its.by_slots.rbegin(), its.by_slots.rend(), [&](SlotCount slots) {
      return count_fitting({slots, kMaxMemoryBytes, 0}, {.slots = size.slots});
    });
  }
  return best;
}

template <class Change>
void Capacity::change(std::size_t node, Change apply) {
  const Room placeable_before = placeable(node), later_before = free_later(node);
  apply();
  if (!nodes_[node].available) return;
  const Room placeable_after = placeable(node), later_after = free_later(node);
  leave(node, placeable_before);
  enter(node, placeable_after);
  free_later_ = plus(minus(free_later_, later_before), later_after);
  change_counts(node, [&](const WorkerSize& size, Count& count) {
    count.placeable += count_fitting(placeable_after, size) - count_fitting(placeable_before, size);
    count.later += count_fitting(later_after, size) - count_fitting(later_before, size);
  });
}

/// Of all sizes that may be on the node.
template <class Change>
void Capacity::change_counts(std::size_t node, Change apply) {
  for (auto& [size, counts] : counts_) {
    if (size.gpus > 0 && !has_kind(counts.has_kind, node)) continue;
    apply(size, counts);
    apply(size, counts.by_kind[class_of_[node]]);
  }
}

void Capacity::use(std::size_t node, const WorkerSize& size, bool now, bool later) {
  const auto add = [&](Room& used) { used = plus(used, room_of(size, 1)); };
  change(node, [&] {
    if (now) add(now_[node]);
    if (later) add(later_[node]);
  });
}

void Capacity::free(std::size_t node, const WorkerSize& size, bool now, bool later) {
  const auto subtract = [&](Room& used) { used = minus(used, room_of(size, 1)); };
  change(node, [&] {
    if (now) subtract(now_[node]);
    if (later) subtract(later_[node]);
  });
}

}  // namespace ds::scheduler
