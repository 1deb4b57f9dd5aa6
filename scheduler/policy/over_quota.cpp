#include "scheduler/policy/over_quota.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "scheduler/policy/growth.hpp"
#include "scheduler/policy/queue_use.hpp"

namespace ds::scheduler {
namespace {

/// A job that may be taken from.
struct Holder {
  const Demand* demand = nullptr;
  std::size_t queue = TenantTree::kRoot;
  std::vector<Lease*> live;  ///< newest first
  std::uint32_t needed = 1;
  bool is_stopped = false;
  bool has_spare() const { return live.size() > needed; }
};

Room room_of(const Lease& lease) {
  return {lease.slots, lease.memory_bytes, lease.devices.size()};
}

class OverQuota {
 public:
  OverQuota(std::vector<Lease>& leases, std::span<const Demand> demands, const TenantTree& tenants)
      : tenants_(tenants), use_(tenants, std::nullopt) {
    std::map<std::string_view, Holder> holders;
    for (const Demand& demand : demands) {
      const auto queue = tenants.find(demand.tenant, demand.queue);
      if (queue && demand.preemptible)
        holders[demand.job] = {&demand, *queue, {}, std::max(1U, demand.workers.min)};
    }
    for (Lease& lease : leases) {
      if (lease.role != Role::worker || lease.releasing) continue;
      const auto queue = tenants.find(lease.tenant, lease.queue);
      if (!queue) continue;
      use_.add(*queue, room_of(lease));
      const auto holder = holders.find(lease.job);
      if (holder != holders.end()) holder->second.live.push_back(&lease);
    }
    for (auto& [job, holder] : holders) {
      if (holder.live.empty()) continue;
      std::ranges::sort(holder.live, [](const Lease* a, const Lease* b) { return a->worker > b->worker; });
      holders_.push_back(std::move(holder));
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
    for (const auto& [holder, lease] : taken_) {
      lease->releasing = true;
      releases.push_back({lease->job, lease->worker});
    }
    return releases;
  }

 private:
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
      if (Holder* holder = choose_holder(queue, for_gpus, true)) {
        take(*holder);
      } else if (Holder* whole = choose_holder(queue, for_gpus, false)) {
        whole->is_stopped = true;
        while (!whole->live.empty()) take(*whole);
      } else {
        return;  // what is left is not preemptible
      }
    }
  }

  void take(Holder& holder) {
    Lease* lease = holder.live.front();
    holder.live.erase(holder.live.begin());
    use_.remove(holder.queue, room_of(*lease));
    taken_.emplace_back(&holder, lease);
  }

  /// With a worker above its minimum, if that is asked for.
  static bool may_give(const Holder& holder, bool for_gpus, bool only_spare) {
    return !holder.live.empty() && (!for_gpus || holder.demand->gpus > 0) &&
           (!only_spare || holder.has_spare());
  }

  Holder* choose_holder(std::size_t queue, bool for_gpus, bool only_spare) {
    while (!tenants_[queue].is_leaf) {
      std::optional<std::size_t> richest;
      for (std::size_t child = queue + 1; child < tenants_.queues.size(); ++child) {
        if (tenants_[child].parent != queue || !can_give(child, for_gpus, only_spare)) continue;
        if (!richest || excess(child, for_gpus) > excess(*richest, for_gpus)) richest = child;
      }
      if (!richest) return nullptr;
      queue = *richest;
    }
    Holder* best = nullptr;
    for (Holder& holder : holders_) {
      if (holder.queue != queue || !may_give(holder, for_gpus, only_spare)) continue;
      if (best == nullptr || (only_spare ? gives_before(holder, *best) : is_behind(holder, *best)))
        best = &holder;
    }
    return best;
  }

  bool can_give(std::size_t queue, bool for_gpus, bool only_spare) const {
    return std::ranges::any_of(holders_, [&](const Holder& holder) {
      return tenants_.is_below(holder.queue, queue) && may_give(holder, for_gpus, only_spare);
    });
  }

  /// For its weight. Nobody is guaranteed GPUs.
  double excess(std::size_t queue, bool for_gpus) const {
    const double beyond = for_gpus
                              ? static_cast<double>(use_.used(queue).gpus)
                              : use_.slots(queue).number() - static_cast<double>(tenants_[queue].guaranteed);
    return beyond > 0 ? beyond / tenants_[queue].weight : beyond * tenants_[queue].weight;
  }

  static bool gives_before(const Holder& a, const Holder& b) {
    const auto rank = [](const Holder& one) {
      const auto workers = static_cast<std::uint32_t>(one.live.size());
      return std::tuple(one.demand->priority, loss_of_one(*one.demand, workers), ~one.demand->order);
    };
    return rank(a) < rank(b);
  }
  static bool is_behind(const Holder& a, const Holder& b) {
    const auto rank = [](const Holder& one) {
      return std::tuple(one.demand->has_promise, one.demand->priority, ~one.demand->order);
    };
    return rank(a) < rank(b);
  }

  bool is_allowed(const Holder& holder, const Room& more) const {
    return !use_.find_limit(holder.queue, more);
  }

  /// Large gangs leave more room than was needed: whole gangs first, then workers, those chosen last first.
  void keep_those_that_fit() {
    for (auto one = holders_.begin(); one != holders_.end(); ++one) stopped_.push_back(&*one);
    std::erase_if(stopped_, [](const Holder* holder) { return !holder->is_stopped; });
    std::ranges::sort(stopped_, [](const Holder* a, const Holder* b) { return is_behind(*b, *a); });
    for (Holder* holder : stopped_) {
      std::vector<Lease*> own;  // the oldest first
      for (auto taken = taken_.rbegin(); taken != taken_.rend(); ++taken) {
        if (taken->first == holder) own.push_back(taken->second);
      }
      own.resize(std::min<std::size_t>(own.size(), holder->needed));
      Room all;
      for (const Lease* lease : own) all = plus(all, room_of(*lease));
      if (own.size() < holder->needed || !is_allowed(*holder, all)) continue;
      holder->is_stopped = false;
      for (Lease* lease : own) give_back(*holder, lease);
    }
    for (std::size_t i = taken_.size(); i-- > 0;) {
      const auto [holder, lease] = taken_[i];
      if (!holder->is_stopped && is_allowed(*holder, room_of(*lease))) give_back(*holder, lease);
    }
  }

  void give_back(Holder& holder, Lease* lease) {
    std::erase_if(taken_, [&](const auto& taken) { return taken.second == lease; });
    use_.add(holder.queue, room_of(*lease));
    holder.live.insert(holder.live.begin(), lease);
  }

  const TenantTree& tenants_;
  QueueUse use_;
  std::vector<Holder> holders_;
  std::vector<Holder*> stopped_;
  std::vector<std::pair<Holder*, Lease*>> taken_;
};

}  // namespace

std::vector<Release> release_over_quota(std::vector<Lease>& leases, std::span<const Demand> demands,
                                        const TenantTree& tenants) {
  return tenants.has_tenants() ? OverQuota(leases, demands, tenants).choose() : std::vector<Release>{};
}

}  // namespace ds::scheduler
