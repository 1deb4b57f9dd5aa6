#include "scheduler/policy/packing/packing_policy.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>

namespace ds::scheduler {
namespace {

constexpr std::array kPolicies{
    PackingPolicyEntry{"ds", "ours: leaves the least that jobs as they come cannot use",
                       make_fragmentation_packing},
    PackingPolicyEntry{"best_fit", "the node that is left with the smallest share of CPU and GPUs",
                       make_best_fit_packing},
    PackingPolicyEntry{"random", "any node and GPUs that it fits on", make_random_packing},
};

}  // namespace

std::uint32_t PackingNode::free_gpu_milli() const {
  return std::accumulate(gpu_milli.begin(), gpu_milli.end(), 0U);
}

bool fits(const PackingNode& node, const PackingDemand& demand) {
  if (node.cpu_milli < demand.cpu_milli || node.memory_mib < demand.memory_mib) return false;
  if (demand.gpus == 0) return true;
  if ((demand.gpu_types >> node.gpu_type & 1) == 0) return false;
  std::uint32_t found = 0;
  for (const std::uint32_t milli : node.gpu_milli) found += milli >= demand.gpu_milli;
  return found >= demand.gpus;
}

std::vector<std::uint32_t> tightest_gpus(const PackingNode& node, const PackingDemand& demand) {
  std::vector<std::uint32_t> gpus;
  for (std::uint32_t gpu = 0; gpu < node.gpu_milli.size(); ++gpu) {
    if (node.gpu_milli[gpu] >= demand.gpu_milli) gpus.push_back(gpu);
  }
  assert(gpus.size() >= demand.gpus);
  std::stable_sort(gpus.begin(), gpus.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return node.gpu_milli[a] < node.gpu_milli[b]; });
  gpus.resize(demand.gpus);
  return gpus;
}

void take(PackingNode& node, const PackingDemand& demand, std::span<const std::uint32_t> gpus) {
  assert(fits(node, demand) && gpus.size() == demand.gpus);
  node.cpu_milli -= demand.cpu_milli;
  node.memory_mib -= demand.memory_mib;
  for (const std::uint32_t gpu : gpus) {
    assert(node.gpu_milli[gpu] >= demand.gpu_milli);
    node.gpu_milli[gpu] -= demand.gpu_milli;
  }
  ++node.version;
}

std::span<const PackingPolicyEntry> list_packing_policies() {
  return kPolicies;
}

const PackingPolicyEntry* find_packing_policy(std::string_view name) {
  const auto found = std::find_if(kPolicies.begin(), kPolicies.end(),
                                  [&](const PackingPolicyEntry& entry) { return entry.name == name; });
  return found == kPolicies.end() ? nullptr : &*found;
}

}  // namespace ds::scheduler
