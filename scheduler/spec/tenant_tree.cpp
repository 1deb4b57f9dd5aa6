#include "scheduler/spec/tenant_tree.hpp"

#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxNames = 20;

std::optional<std::size_t> find_tenant(const TenantTree& tree, std::string_view name) {
  for (std::size_t i = 1; i < tree.queues.size(); ++i) {
    if (tree[i].depth == 1 && tree[i].name == name) return i;
  }
  return std::nullopt;
}

/// Names of those that jobs may give, as far as a message has room.
template <class Wanted>
std::string list_queues(const TenantTree& tree, const Wanted& wanted) {
  std::string names;
  std::size_t count = 0;
  for (std::size_t i = 1; i < tree.queues.size(); ++i) {
    if (!wanted(i)) continue;
    if (++count > kMaxNames) return names + ", …";
    names += (names.empty() ? "" : ", ") + tree[i].name;
  }
  return names;
}

}  // namespace

std::optional<std::size_t> TenantTree::find(std::string_view tenant, std::string_view queue) const {
  if (!has_tenants()) return kRoot;
  const auto top = find_tenant(*this, tenant);
  if (!top) return std::nullopt;
  const bool is_path = queue.find('/') != std::string_view::npos;
  const auto is_path_of = [&](std::size_t i, std::string_view path) {
    const std::string whole = full_name(i);
    return path == whole || path == std::string_view(whole).substr(tenant.size() + 1);
  };
  for (std::size_t i = *top + 1; i < queues.size(); ++i) {
    if (!queues[i].is_leaf || !is_below(i, *top)) continue;
    if (queues[i].name == queue || (is_path && is_path_of(i, queue))) return i;
  }
  if (queue == "default" && queues[*top].is_leaf) return top;
  return std::nullopt;
}

std::vector<std::string> TenantTree::tenant_names() const {
  std::vector<std::string> names;
  for (const QueueSpec& queue : queues) {
    if (queue.depth == 1) names.push_back(queue.name);
  }
  return names;
}

std::uint64_t TenantTree::guaranteed_together() const {
  std::uint64_t slots = 0;
  for (const QueueSpec& queue : queues) slots += queue.depth == 1 ? queue.guaranteed : 0;
  return slots;
}

std::uint64_t TenantTree::guaranteed_gpus_together() const {
  std::uint64_t gpus = 0;
  for (const QueueSpec& queue : queues) gpus += queue.depth == 1 ? queue.guaranteed_gpus : 0;
  return gpus;
}

std::string TenantTree::full_name(std::size_t queue) const {
  if (queue == kRoot) return "the cluster";
  const QueueSpec& spec = queues[queue];
  return spec.parent == kRoot ? spec.name : full_name(spec.parent) + "/" + spec.name;
}

bool TenantTree::is_below(std::size_t queue, std::size_t ancestor) const {
  while (queue > ancestor) queue = queues[queue].parent;
  return queue == ancestor;
}

TenantTree::Meeting TenantTree::meet(std::size_t a, std::size_t b) const {
  Meeting meeting{0, a, b};
  while (a != b) {
    // A parent's index is smaller than its children's, so the larger one is no ancestor of the other.
    if (a > b) {
      meeting.a_side = a;
      a = queues[a].parent;
    } else {
      meeting.b_side = b;
      b = queues[b].parent;
    }
  }
  meeting.at = a;
  return meeting;
}

std::variant<std::size_t, QueueFault> resolve_queue(const TenantTree& tree, std::string_view tenant,
                                                    std::string_view queue) {
  if (const auto found = tree.find(tenant, queue)) return *found;
  const auto top = find_tenant(tree, tenant);
  if (!top) {
    const auto slash = queue.find('/');
    const auto named =
        slash == std::string_view::npos ? std::nullopt : find_tenant(tree, queue.substr(0, slash));
    if (tenant == "default" && named && tree.find(tree[*named].name, queue)) {
      return QueueFault{"queue",
                        "queue " + to_quoted(queue) + " is of tenant " + to_quoted(tree[*named].name) +
                            ", and the job names no tenant",
                        "write tenant: " + tree[*named].name + " as well, or --tenant " + tree[*named].name};
    }
    // Mostly nobody asked for that one: it is what a job that names none is of.
    const std::string advice =
        tenant == "default" ? "name one: --tenant, tenant: in the job file, or DS_TENANT; " : "";
    return QueueFault{
        "tenant", "there is no tenant " + to_quoted(tenant),
        advice + "tenants here: " + list_queues(tree, [&](std::size_t i) { return tree[i].depth == 1; })};
  }
  const std::string names = list_queues(
      tree, [&](std::size_t i) { return tree[i].is_leaf && i != *top && tree.is_below(i, *top); });
  const std::string hint =
      names.empty() ? "it has no queues of its own; leave queue out" : "its queues: " + names;
  if (queue == "default")
    return QueueFault{"queue", "tenant " + to_quoted(tenant) + " has several queues; name one", hint};
  return QueueFault{"queue", "tenant " + to_quoted(tenant) + " has no queue " + to_quoted(queue), hint};
}

}  // namespace ds::scheduler
