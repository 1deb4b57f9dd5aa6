#include "scheduler/policy/over_quota.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string_view>
#include <tuple>

#include "scheduler/policy/growth.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/spec/queue_index.hpp"

namespace ds::scheduler {
namespace {

/// A job that may be taken from.
struct Holder {
  const Demand* demand = nullptr;
  std::size_t queue = TenantTree::kRoot;
  std::vector<Lease*> live;  ///< oldest first
  std::uint32_t needed = 1;
  double loss = 0;                      ///< if it loses one of its workers
  std::vector<std::size_t> taken = {};  ///< which of all that were taken are its own, newest worker first
  bool is_stopped = false;
  bool has_spare() const { return live.size() > needed; }
};

/// What is taken before what: workers above minimums, then whole gangs, last those with a promise.
enum class Stage : std::size_t { spare, gang, promised_gang };
constexpr Stage kStages[] = {Stage::spare, Stage::gang, Stage::promised_gang};

bool may_give(const Holder& holder, Stage stage) {
  if (holder.live.empty()) return false;
  if (stage == Stage::spare) return holder.has_spare();
  return holder.demand->has_promise == (stage == Stage::promised_gang);
}

/// Who gives first in a leaf.
struct GivesBefore {
  Stage stage = Stage::spare;
  bool operator()(const Holder* a, const Holder* b) const {
    const auto rank = [&](const Holder& one) {
      const double loss = stage == Stage::spare ? one.loss : 0;
      return std::tuple(one.demand->priority, loss, ~one.demand->order, std::string_view(one.demand->job));
    };
    return rank(*a) < rank(*b);
  }
};

Room room_of(const Lease& lease) {
  return {lease.slots, lease.memory_bytes, lease.devices.size()};
}

/// Those who may give, by stage and queue, so that a choice costs what is on the way to a leaf and not as
/// much as there are jobs.
class Givers {
 public:
  explicit Givers(const TenantTree& tenants) : tenants_(tenants), counts_(tenants.queues.size()) {
    for (const Stage stage : kStages)
      leaves_.emplace_back(tenants.queues.size(), std::set<Holder*, GivesBefore>(GivesBefore{stage}));
  }

  void add(Holder& holder) { change(holder, true); }
  /// Before it changes.
  void remove(Holder& holder) { change(holder, false); }

  /// Below the queue.
  bool has_any(std::size_t queue, Stage stage) const {
    return counts_[queue][static_cast<std::size_t>(stage)] > 0;
  }
  Holder& first(std::size_t leaf, Stage stage) const {
    return **leaves_[static_cast<std::size_t>(stage)][leaf].begin();
  }

 private:
  void change(Holder& holder, bool more) {
    for (const Stage stage : kStages) {
      if (!may_give(holder, stage)) continue;
      const auto index = static_cast<std::size_t>(stage);
      auto& leaf = leaves_[index][holder.queue];
      more ? void(leaf.insert(&holder)) : void(leaf.erase(&holder));
      for (std::size_t queue = holder.queue;; queue = tenants_[queue].parent) {
        more ? ++counts_[queue][index] : --counts_[queue][index];
        if (queue == TenantTree::kRoot) break;
      }
    }
  }

  const TenantTree& tenants_;
  std::vector<std::array<std::size_t, std::size(kStages)>> counts_;  ///< by queue
  std::vector<std::vector<std::set<Holder*, GivesBefore>>> leaves_;  ///< by stage and queue
};

class OverQuota {
 public:
  OverQuota(std::vector<Lease>& leases, std::span<const Demand> demands, const TenantTree& tenants)
      : tenants_(tenants),
        use_(tenants, std::nullopt),
        children_(tenants.queues.size()),
        givers_(tenants),
        givers_of_gpus_(tenants) {
    for (std::size_t queue = 1; queue < tenants.queues.size(); ++queue)
      children_[tenants[queue].parent].push_back(queue);
    const QueueIndex index(tenants);
    for (const Demand& demand : demands) {
      const auto queue = index.find(demand.tenant, demand.queue);
      if (queue && demand.preemptible)
        holders_[demand.job] = {&demand, *queue, {}, std::max(1U, demand.workers.min)};
    }
    for (Lease& lease : leases) {
      if (lease.role != Role::worker || lease.releasing) continue;
      const auto queue = index.find(lease.tenant, lease.queue);
      if (!queue) continue;
      use_.add(*queue, room_of(lease));
      const auto holder = holders_.find(lease.job);
      if (holder != holders_.end()) holder->second.live.push_back(&lease);
    }
    for (auto& [job, holder] : holders_) {
      std::ranges::sort(holder.live, {}, &Lease::worker);
      enlist(holder);
    }
  }

  std::vector<Release> choose() {
    std::size_t deepest = 0;
    for (const QueueSpec& queue : tenants_.queues) deepest = std::max(deepest, queue.depth);
    for (std::size_t depth = deepest; depth > 0; --depth) {
      for (std::size_t queue = 1; queue < tenants_.queues.size(); ++queue) {
        if (tenants_[queue].depth == depth) relieve(queue);
      }
    }
    keep_those_that_fit();
    std::vector<Release> releases;
    for (const Taken& one : taken_) {
      if (one.is_kept) continue;
      one.lease->releasing = true;
      releases.push_back({one.lease->job, one.lease->worker});
    }
    return releases;
  }

 private:
  struct Taken {
    Holder* holder = nullptr;
    Lease* lease = nullptr;
    bool is_kept = false;  ///< there is room for it after all
  };

  bool has_too_many_slots(std::size_t queue) const {
    const auto most = tenants_[queue].most();
    return most && use_.slots(queue) > *most;
  }
  bool has_too_many_gpus(std::size_t queue) const {
    const auto& most = tenants_[queue].gpu_limit;
    return most && use_.used(queue).gpus > *most;
  }

  void relieve(std::size_t queue) {
    while (has_too_many_slots(queue) || has_too_many_gpus(queue)) {
      // Whoever has GPUs has slots, too.
      const bool for_gpus = has_too_many_gpus(queue);
      const Givers& givers = for_gpus ? givers_of_gpus_ : givers_;
      const auto stage =
          std::ranges::find_if(kStages, [&](const Stage one) { return givers.has_any(queue, one); });
      if (stage == std::end(kStages)) return;  // what is left is not preemptible
      Holder& holder = choose_holder(queue, for_gpus, *stage);
      delist(holder);
      holder.is_stopped = *stage != Stage::spare;
      do {
        take_newest(holder);
      } while (holder.is_stopped && !holder.live.empty());
      enlist(holder);
    }
  }

  void enlist(Holder& holder) {
    holder.loss =
        holder.has_spare() ? loss_of_one(*holder.demand, static_cast<std::uint32_t>(holder.live.size())) : 0;
    givers_.add(holder);
    if (holder.demand->gpus > 0) givers_of_gpus_.add(holder);
  }
  void delist(Holder& holder) {
    givers_.remove(holder);
    if (holder.demand->gpus > 0) givers_of_gpus_.remove(holder);
  }

  void take_newest(Holder& holder) {
    Lease* lease = holder.live.back();
    holder.live.pop_back();
    use_.remove(holder.queue, room_of(*lease));
    holder.taken.push_back(taken_.size());
    taken_.push_back({&holder, lease});
  }

  /// There is one below the queue.
  Holder& choose_holder(std::size_t queue, bool for_gpus, Stage stage) const {
    const Givers& givers = for_gpus ? givers_of_gpus_ : givers_;
    while (!tenants_[queue].is_leaf) {
      std::optional<std::size_t> richest;
      for (const std::size_t child : children_[queue]) {
        if (!givers.has_any(child, stage)) continue;
        if (!richest || excess(child, for_gpus) > excess(*richest, for_gpus)) richest = child;
      }
      queue = *richest;
    }
    return givers.first(queue, stage);
  }

  /// For its weight.
  double excess(std::size_t queue, bool for_gpus) const {
    const Room& used = use_.used(queue);
    const double beyond =
        for_gpus ? static_cast<double>(used.gpus) - static_cast<double>(tenants_[queue].guaranteed_gpus)
                 : used.slots.number() - static_cast<double>(tenants_[queue].guaranteed);
    return beyond > 0 ? beyond / tenants_[queue].weight : beyond * tenants_[queue].weight;
  }

  bool is_allowed(const Holder& holder, const Room& more) const {
    return !use_.find_limit(holder.queue, more);
  }

  /// Large gangs leave more room than was needed: whole gangs first, then workers, those chosen last first.
  void keep_those_that_fit() {
    std::vector<Holder*> stopped;
    for (auto& [job, holder] : holders_) {
      if (holder.is_stopped) stopped.push_back(&holder);
    }
    std::ranges::sort(stopped, [](const Holder* a, const Holder* b) {
      const bool is_promised = a->demand->has_promise;
      return is_promised != b->demand->has_promise ? is_promised : GivesBefore{Stage::gang}(b, a);
    });
    for (Holder* holder : stopped) {
      const auto oldest = std::ranges::subrange(holder->taken.rbegin(), holder->taken.rend()) |
                          std::views::take(holder->needed);
      Room all;
      for (const std::size_t one : oldest) all = plus(all, room_of(*taken_[one].lease));
      if (holder->taken.size() < holder->needed || !is_allowed(*holder, all)) continue;
      holder->is_stopped = false;
      for (const std::size_t one : oldest) keep(taken_[one]);
    }
    for (Taken& one : taken_ | std::views::reverse) {
      if (!one.is_kept && !one.holder->is_stopped && is_allowed(*one.holder, room_of(*one.lease))) keep(one);
    }
  }

  void keep(Taken& one) {
    one.is_kept = true;
    use_.add(one.holder->queue, room_of(*one.lease));
  }

  const TenantTree& tenants_;
  QueueUse use_;
  std::vector<std::vector<std::size_t>> children_;  ///< by queue
  std::map<std::string_view, Holder> holders_;      ///< by job
  Givers givers_, givers_of_gpus_;
  std::vector<Taken> taken_;
};

}  // namespace

std::vector<Release> release_over_quota(std::vector<Lease>& leases, std::span<const Demand> demands,
                                        const TenantTree& tenants) {
  return tenants.has_tenants() ? OverQuota(leases, demands, tenants).choose() : std::vector<Release>{};
}

}  // namespace ds::scheduler
