#include "scheduler/policy/elastic/elastic_policy.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace ds::scheduler {
namespace {

constexpr std::array kPolicies{
    PolicyEntry{"ds", "ours: elastic, by goodput and attained work", false, true, make_ds_policy},
    PolicyEntry{"fifo", "requested slots, first come first served, no overtaking", false, false,
                make_fifo_policy},
    PolicyEntry{"drf", "equal shares in slots, up to the requested ones", false, false, make_drf_policy},
    PolicyEntry{"tiresias", "requested slots, two queues by attained slot-hours", false, false,
                make_tiresias_policy},
    PolicyEntry{"optimus", "elastic, least remaining time by an oracle", true, false, make_optimus_policy},
};

}  // namespace

std::uint32_t count_nodes(const Slots& slots) {
  std::uint32_t nodes = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) nodes += i == 0 || slots[i] != slots[i - 1];
  return nodes;
}

std::uint32_t ElasticCluster::total() const {
  return std::accumulate(slots.begin(), slots.end(), 0U);
}

std::span<const PolicyEntry> list_policies() {
  return kPolicies;
}

const PolicyEntry* find_policy(std::string_view name) {
  const auto found = std::find_if(kPolicies.begin(), kPolicies.end(),
                                  [&](const PolicyEntry& entry) { return entry.name == name; });
  return found == kPolicies.end() ? nullptr : &*found;
}

}  // namespace ds::scheduler
