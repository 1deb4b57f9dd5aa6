#include "scheduler/spec/queue_index.hpp"

namespace ds::scheduler {

QueueIndex::QueueIndex(const TenantTree& tree) : ways_(tree.queues.size()) {
  std::vector<Tenant*> tenant_of(tree.queues.size(), nullptr);
  for (std::size_t queue = 1; queue < tree.queues.size(); ++queue) {  // parents before their children
    const QueueSpec& spec = tree[queue];
    ways_[queue] = ways_[spec.parent];
    ways_[queue].push_back(queue);
    if (spec.depth == 1) {
      const auto [tenant, is_new] = tenants_.try_emplace(spec.name);
      tenant_of[queue] = is_new ? &tenant->second : nullptr;
      if (is_new && spec.is_leaf) tenant->second.itself = queue;
      continue;
    }
    Tenant* const tenant = tenant_of[queue] = tenant_of[spec.parent];
    if (!spec.is_leaf || tenant == nullptr) continue;
    const std::string whole = tree.full_name(queue);
    tenant->leaves.emplace(spec.name, queue);
    tenant->leaves.emplace(whole, queue);
    tenant->leaves.emplace(whole.substr(whole.find('/') + 1), queue);
  }
}

std::optional<std::size_t> QueueIndex::find(std::string_view tenant, std::string_view queue) const {
  if (ways_.size() == 1) return TenantTree::kRoot;
  const auto top = tenants_.find(tenant);
  if (top == tenants_.end()) return std::nullopt;
  const auto leaf = top->second.leaves.find(queue);
  if (leaf != top->second.leaves.end()) return leaf->second;
  return queue == "default" ? top->second.itself : std::nullopt;
}

}  // namespace ds::scheduler
