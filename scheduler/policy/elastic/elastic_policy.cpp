#include "scheduler/policy/elastic/elastic_policy.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace ds::scheduler {
namespace {

constexpr std::array kPolicies{
    PolicyEntry{
        .name = "ds",
        .summary =
            "ours: elastic, by goodput and attained work; rigid jobs by the work left; deadlines by promises",
        .adapts_batch = true,
        .keeps_rigid = true,
        .keeps_deadlines = true,
        .chooses_kind = true,
        .make = make_ds_policy},
    PolicyEntry{.name = "ds_alone",
                .summary = "the same where each job knows of itself alone, nothing of jobs like it",
                .adapts_batch = true,
                .learns_alone = true,
                .chooses_kind = true,
                .make = make_ds_policy},
    PolicyEntry{.name = "fifo",
                .summary = "requested slots, first come first served, no overtaking",
                .keeps_rigid = true,
                .gives_as_asked = true,
                .chooses_kind = true,
                .make = make_fifo_policy},
    PolicyEntry{.name = "live",
                .summary = "the live head's planner, at events: elastic training jobs, others as gangs",
                .keeps_rigid = true,
                .trains_live = true,
                .make = make_live_policy},
    PolicyEntry{.name = "live_least_attained",
                .summary = "the same with --growth least_attained: who has had least grows first",
                .keeps_rigid = true,
                .trains_live = true,
                .make = make_live_least_attained_policy},
    PolicyEntry{.name = "drf",
                .summary = "equal shares in slots, up to the requested ones",
                .chooses_kind = true,
                .make = make_drf_policy},
    PolicyEntry{.name = "tiresias",
                .summary = "requested slots, two queues by attained slot-hours",
                .keeps_rigid = true,
                .gives_as_asked = true,
                .chooses_kind = true,
                .make = make_tiresias_policy},
    PolicyEntry{.name = "edf",
                .summary = "the nearest deadline first, with all slots that it can run on",
                .make = make_edf_policy},
    PolicyEntry{.name = "tiresias_queues",
                .summary = "requested slots, three queues by attained slot-seconds, at events",
                .keeps_rigid = true,
                .gives_as_asked = true,
                .restart_charge = RestartCharge::late,
                .make = make_tiresias_queues_policy},
    PolicyEntry{.name = "gandiva",
                .summary = "requested slots, in turns on sets of nodes for jobs of one size, when jobs come",
                .gives_as_asked = true,
                .restart_charge = RestartCharge::at_each_plan,
                .make = make_gandiva_policy},
    PolicyEntry{.name = "optimus",
                .summary = "elastic, least remaining time by an oracle",
                .needs_oracle = true,
                .make = make_optimus_policy},
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

std::uint32_t ElasticCluster::count_kinds() const {
  return kinds.empty() ? 1 : *std::max_element(kinds.begin(), kinds.end()) + 1;
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
