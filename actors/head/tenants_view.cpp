// What tenants may use, use and have used.
#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "actors/head/views.hpp"
#include "scheduler/ledger/slot_count_json.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/spec/queue_index.hpp"

namespace ds::head {
namespace {

using nlohmann::json;

constexpr std::size_t kMostJobsNamed = 20;

/// What jobs of queues have and wait for that the tenants' file does not name any more.
json removed_queues_view(const scheduler::TenantTree& tenants, const scheduler::QueueIndex& index,
                         const scheduler::Ledger& ledger, const std::vector<scheduler::Demand>& demands,
                         const scheduler::Room& cluster, std::int64_t now_ms) {
  using scheduler::Room;
  struct Removed {
    Room used;
    scheduler::PastUse lately;
    int running = 0, waiting = 0;
    std::vector<std::string> jobs;
  };
  std::map<std::pair<std::string, std::string>, Removed> removed;
  const auto find = [&](const auto& one) -> Removed* {
    if (index.find(one.tenant, one.queue)) return nullptr;
    return &removed[{one.tenant, one.queue}];
  };
  for (const auto& [worker, lease] : ledger.leases()) {
    auto* queue = lease.role == scheduler::Role::worker ? find(lease) : nullptr;
    if (queue != nullptr)
      queue->used = plus(queue->used, {lease.slots, lease.memory_bytes, lease.devices.size()});
  }
  for (const auto& demand : demands) {
    auto* queue = find(demand);
    if (queue == nullptr) continue;
    const bool runs = ledger.find(demand.job)->workers > 0;
    ++(runs ? queue->running : queue->waiting);
    if (runs && queue->jobs.size() < kMostJobsNamed) queue->jobs.push_back(demand.job);
  }
  for (auto& past : ledger.past_use(now_ms)) {
    const auto queue = removed.find({past.tenant, past.queue});
    if (queue != removed.end()) queue->second.lately = std::move(past);
  }
  const auto share_of = [&](double slots, double memory_bytes, double gpus) {
    const auto part = [](double used, double all) { return all > 0 ? used / all : 0; };
    return std::max({part(slots, cluster.slots.number()),
                     part(memory_bytes, static_cast<double>(cluster.memory_bytes)),
                     part(gpus, static_cast<double>(cluster.gpus))});
  };
  json list = json::array();
  for (const auto& [names, queue] : removed) {
    const auto& [used, lately] = std::tie(queue.used, queue.lately);
    const double share =
        share_of(used.slots.number(), static_cast<double>(used.memory_bytes), static_cast<double>(used.gpus));
    list.push_back({{"name", names.second == "default" ? names.first : names.first + "/" + names.second},
                    {"removed", true},
                    {"parent", nullptr},
                    {"guaranteed", 0},
                    {"borrowing_limit", 0},
                    {"lending_limit", 0},
                    {"weight", 0},
                    {"used", used.slots},
                    {"borrowed", used.slots},
                    {"guaranteed_gpus", 0},
                    {"gpus_used", used.gpus},
                    {"borrowed_gpus", tenants.guarantees_gpus() ? used.gpus : 0},
                    {"gpu_limit", 0},
                    {"share", share},
                    {"recent_share", share_of(lately.slots, lately.memory_bytes, lately.gpus)},
                    {"running", queue.running},
                    {"waiting", queue.waiting},
                    {"jobs", queue.jobs}});
  }
  return list;
}

}  // namespace

json tenants_view(const scheduler::TenantTree& tenants, const scheduler::Ledger& ledger,
                  const scheduler::Room& cluster, std::int64_t now_ms) {
  using scheduler::TenantTree;
  const scheduler::QueueIndex index(tenants);
  scheduler::QueueUse use(tenants, cluster);
  const scheduler::QueueUse nothing = use;
  const auto queue_of = [&](const auto& one) {
    return index.find(one.tenant, one.queue).value_or(TenantTree::kRoot);
  };
  for (const auto& [worker, lease] : ledger.leases()) {
    if (lease.role == scheduler::Role::worker)
      use.add(queue_of(lease), {lease.slots, lease.memory_bytes, lease.devices.size()});
  }
  std::vector<std::pair<int, int>> jobs(tenants.queues.size());  // with workers, without
  const auto demands = ledger.demands(now_ms);
  for (const auto& demand : demands) {
    const bool runs = ledger.find(demand.job)->workers > 0;
    for (std::size_t queue = queue_of(demand);; queue = tenants[queue].parent) {
      ++(runs ? jobs[queue].first : jobs[queue].second);
      if (queue == TenantTree::kRoot) break;
    }
  }
  const auto together = tenants.guaranteed_together();
  const auto gpus_together = tenants.guaranteed_gpus_together();
  const scheduler::Shares now(tenants, index, {}, cluster);
  const scheduler::Shares lately(tenants, index, ledger.past_use(now_ms), cluster);
  const auto or_null = [](const auto& limit) { return limit ? json(*limit) : json(nullptr); };
  json list = json::array();
  for (std::size_t i = tenants.has_tenants() ? 1 : 0; i < tenants.queues.size(); ++i) {
    const scheduler::QueueSpec& queue = tenants[i];
    const auto used = use.slots(i);
    const auto gpus = use.used(i).gpus;
    list.push_back(
        {{"name", i == TenantTree::kRoot ? "default" : tenants.full_name(i)},
         {"parent", queue.depth < 2 ? json(nullptr) : json(tenants.full_name(queue.parent))},
         {"guaranteed", queue.guaranteed},
         {"borrowing_limit", or_null(queue.borrowing_limit)},
         {"lending_limit", or_null(queue.lending_limit)},
         {"weight", queue.weight},
         {"used", used},
         {"borrowed", used > queue.guaranteed && i > 0 ? used - queue.guaranteed : 0},
         {"guaranteed_gpus", queue.guaranteed_gpus},
         {"gpus_used", gpus},
         {"borrowed_gpus", tenants.guarantees_gpus() ? gpus - std::min(gpus, queue.guaranteed_gpus) : 0},
         {"gpu_limit", or_null(queue.gpu_limit)},
         {"share", now.of(use, i) * queue.weight},
         {"recent_share", lately.of(nothing, i) * queue.weight},
         {"running", jobs[i].first},
         {"waiting", jobs[i].second}});
  }
  for (auto& removed : removed_queues_view(tenants, index, ledger, demands, cluster, now_ms))
    list.push_back(std::move(removed));
  for (json& queue : list) {
    queue["guaranteed_together"] = together;
    queue["cluster_slots"] = cluster.slots;
    queue["guaranteed_gpus_together"] = gpus_together;
    queue["cluster_gpus"] = cluster.gpus;
  }
  return list;
}

}  // namespace ds::head
