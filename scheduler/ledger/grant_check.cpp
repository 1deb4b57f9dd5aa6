#include "scheduler/ledger/grant_check.hpp"

#include <map>
#include <utility>

#include "scheduler/policy/queue_use.hpp"
#include "scheduler/spec/queue_index.hpp"

namespace ds::scheduler {
namespace {

std::string too_much(const Lease& lease, const std::string& taken, const std::string& there,
                     const char* unit) {
  return "worker " + std::to_string(lease.worker) + " of job " + lease.job + " was granted room on node " +
         lease.node + ", of which " + taken + " " + unit + " are taken with it and " + there + " are there";
}

/// By all workers; a lending limit keeps slots free that nobody passes here.
QueueUse count_use(const Ledger& ledger, const TenantTree& tenants, const QueueIndex& index) {
  QueueUse use(tenants, std::nullopt);
  for (const auto& [names, one] : ledger.uses()) {
    const auto queue = index.find(names.first, names.second);
    if (queue) use.add(*queue, {one.slots_now, one.memory_now, one.gpus_now});
  }
  return use;
}

}  // namespace

bool is_quota_passed(const Ledger& ledger, const TenantTree& tenants) {
  const QueueUse use = count_use(ledger, tenants, QueueIndex(tenants));
  for (std::size_t queue = 1; queue < tenants.queues.size(); ++queue) {
    const auto most = tenants[queue].most();
    const auto& most_gpus = tenants[queue].gpu_limit;
    if ((most && use.slots(queue) > *most) || (most_gpus && use.used(queue).gpus > *most_gpus)) return true;
  }
  return false;
}

std::optional<std::string> find_wrong_grant(const Ledger& ledger, std::span<const std::uint64_t> granted,
                                            const FindNodeSize& find_node, const TenantTree& tenants) {
  std::map<std::pair<std::string, std::string>, bool> queues;  // and whether GPUs were granted to them
  for (const std::uint64_t worker : granted) {
    const auto found = ledger.leases().find(worker);
    if (found == ledger.leases().end()) continue;
    const Lease& lease = found->second;
    if (lease.role == Role::worker) queues[{lease.tenant, lease.queue}] |= !lease.devices.empty();
    const auto node = find_node(lease.node);
    if (!node) continue;
    const NodeHolding held = ledger.held_on(lease.node);
    // What takes nothing may be where there is nothing left.
    if (lease.slots > 0 && held.slots > node->slots)
      return too_much(lease, number_text(held.slots), number_text(node->slots), "slots");
    if (lease.memory_bytes > 0 && held.memory_bytes > node->memory_bytes)
      return too_much(lease, std::to_string(held.memory_bytes), std::to_string(node->memory_bytes),
                      "bytes of memory");
  }
  if (queues.empty() || !tenants.has_tenants()) return std::nullopt;
  const QueueIndex index(tenants);
  const QueueUse use = count_use(ledger, tenants, index);
  for (const auto& [names, has_gpus] : queues) {
    const auto& [tenant, name] = names;
    const auto queue = index.find(tenant, name);
    if (!queue)
      return "a worker was granted to queue " + name + " of tenant " + tenant + ", which is not known";
    if (const auto limit = use.find_limit(*queue, {})) {
      return "with what was granted " + tenants.full_name(*limit) + " has " + number_text(use.slots(*limit)) +
             " slots and may have " + std::to_string(tenants[*limit].most().value_or(0));
    }
    for (std::size_t above = *queue; has_gpus && above != TenantTree::kRoot; above = tenants[above].parent) {
      const auto& most = tenants[above].gpu_limit;
      if (most && use.used(above).gpus > *most) {
        return "with what was granted " + tenants.full_name(above) + " has " +
               std::to_string(use.used(above).gpus) + " GPUs and may have " + std::to_string(*most);
      }
    }
  }
  return std::nullopt;
}

}  // namespace ds::scheduler
