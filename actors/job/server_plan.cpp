#include "actors/job/server_plan.hpp"

#include <algorithm>
#include <tuple>

namespace ds::job {
namespace {

/// The best copy of each range: its number of applied steps or shares.
std::vector<std::uint64_t> newest(const ServerRules& rules, std::span<const std::uint64_t> live,
                                  const std::map<std::uint64_t, std::vector<HeldRange>>& held) {
  std::vector<std::uint64_t> best(rules.ranges, 0);
  for (const std::uint64_t server : live) {
    const auto found = held.find(server);
    if (found == held.end()) continue;
    for (const HeldRange& one : found->second) {
      if (one.range < rules.ranges) best[one.range] = std::max(best[one.range], one.applied);
    }
  }
  if (rules.sync) std::ranges::fill(best, *std::ranges::max_element(best));
  return best;
}

void spread_primaries(ServerPlan& plan) {
  std::map<std::uint64_t, std::uint32_t> primaries;
  for (auto& holders : plan.holders) {
    const auto chosen = std::ranges::min_element(
        holders, {}, [&](std::uint64_t server) { return std::tuple(primaries[server], server); });
    ++primaries[*chosen];
    std::rotate(holders.begin(), chosen, chosen + 1);
  }
}

}  // namespace

ServerPlan plan_servers(const ServerRules& rules, std::span<const std::uint64_t> live,
                        const std::map<std::uint64_t, std::vector<HeldRange>>& held) {
  ServerPlan plan;
  plan.holders.resize(rules.ranges);
  const std::vector<std::uint64_t> best = newest(rules, live, held);
  for (const std::uint64_t server : live) {
    const auto found = held.find(server);
    if (found == held.end()) continue;
    for (const HeldRange& one : found->second) {
      if (one.range >= rules.ranges) continue;
      // A commit may make several steps: what matters is whether the next one leads there.
      if (one.applied == best[one.range] || (rules.sync && one.prepared == best[one.range]))
        plan.holders[one.range].push_back(server);
    }
  }
  plan.fresh = std::ranges::any_of(plan.holders, [](const auto& holders) { return holders.empty(); });
  if (plan.fresh) {
    for (auto& holders : plan.holders) holders.clear();
  } else if (rules.sync) {
    plan.step = best.front();
  }

  const std::size_t wanted = std::min<std::size_t>(std::max(1U, rules.copies), live.size());
  std::map<std::uint64_t, std::uint32_t> load;
  for (const auto& holders : plan.holders) {
    for (const std::uint64_t server : holders) ++load[server];
  }
  for (std::uint32_t range = 0; range < rules.ranges; ++range) {
    auto& holders = plan.holders[range];
    while (holders.size() > wanted) {
      const auto fullest = std::ranges::max_element(
          holders, {}, [&](std::uint64_t server) { return std::tuple(load[server], server); });
      --load[*fullest];
      holders.erase(fullest);
    }
    const std::size_t had = holders.size();
    while (holders.size() < wanted) {
      std::uint64_t emptiest = 0;
      for (const std::uint64_t server : live) {
        if (std::ranges::find(holders, server) != holders.end()) continue;
        if (emptiest == 0 || load[server] < load[emptiest]) emptiest = server;
      }
      ++load[emptiest];
      holders.push_back(emptiest);
      if (had > 0) plan.copies.push_back({range, holders.front(), emptiest});
    }
  }
  spread_primaries(plan);
  return plan;
}

}  // namespace ds::job
