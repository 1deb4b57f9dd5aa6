#include "scheduler/simulator/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "scheduler/simulator/family.hpp"
#include "scheduler/simulator/openb_trace.hpp"
#include "scheduler/simulator/packing_simulation.hpp"
#include "scheduler/simulator/plot.hpp"
#include "scheduler/simulator/report.hpp"
#include "scheduler/simulator/workload.hpp"
#include "scheduler/spec/identifier.hpp"

namespace ds::simulator {
namespace {

constexpr std::uint32_t kMaxRoundS = 86'400;
constexpr std::uint32_t kMaxLoadPercent = 1000;
/// The family that has nodes and no time.
constexpr std::string_view kOpenb = "openb";

std::string list_policies() {
  std::string text;
  for (const auto& policy : scheduler::list_policies())
    text += fmt::format("{:<10} {}{}\n", policy.name, policy.summary,
                        policy.needs_oracle ? " (no scheduler could have it)" : "");
  text += fmt::format("\nwith --family {}:\n", kOpenb);
  for (const auto& policy : scheduler::list_packing_policies())
    text += fmt::format("{:<10} {}\n", policy.name, policy.summary);
  return text;
}

template <class Entry>
Read<const Entry*> choose_policy(const std::string& name, std::span<const Entry> policies) {
  std::vector<std::string_view> names;
  for (const Entry& policy : policies) {
    if (policy.name == name) return &policy;
    names.push_back(policy.name);
  }
  const std::string near = scheduler::nearest(name, names);
  return refuse(fmt::format("--policy: there is no policy \"{}\"{}; there are {}", name,
                            near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near),
                            fmt::join(names, ", ")));
}

Read<const Family*> choose_family(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Family& family : list_families()) {
    if (family.name == name) return &family;
    names.push_back(family.name);
  }
  names.push_back(kOpenb);
  return refuse(fmt::format("--family: expected one of {}, got \"{}\"", fmt::join(names, ", "), name));
}

Read<void> check_suits(const Family& family, const scheduler::PolicyEntry& policy) {
  if (family.suits(policy)) return {};
  std::vector<std::string_view> others;
  for (const auto& other : scheduler::list_policies()) {
    if (family.suits(other)) others.push_back(other.name);
  }
  return refuse(fmt::format("--policy: {} does not suit the jobs of --family {}; choose one of {}",
                            policy.name, family.name, fmt::join(others, ", ")));
}

/// Refuses what was given and does not apply to the family.
Read<void> check_unused(const Command& command,
                        std::initializer_list<std::pair<std::string_view, bool>> given) {
  for (const auto& [option, is_given] : given) {
    if (is_given) return refuse(fmt::format("{}: does not apply to --family {}", option, command.family));
  }
  return {};
}

Read<SimulationSettings> read_settings(const Command& command, const Family& family) {
  const std::uint32_t round_s = command.round_s.value_or(family.round_s);
  const std::uint32_t restart_s = command.restart_s.value_or(family.restart_s);
  if (round_s == 0 || round_s > kMaxRoundS)
    return refuse(fmt::format("--round: expected 1 to {} seconds, got {}", kMaxRoundS, round_s));
  if (restart_s > kMaxRoundS)
    return refuse(fmt::format("--restart: expected 0 to {} seconds, got {}", kMaxRoundS, restart_s));
  auto cluster = parse_cluster(command.cluster ? *command.cluster : family.cluster);
  if (!cluster) return tl::unexpected(cluster.error());
  if (cluster->kinds.empty() == family.has_kinds)
    return refuse(fmt::format("--cluster: --family {} {} kinds of GPU, as {}", family.name,
                              family.has_kinds ? "needs" : "has no", family.cluster));
  cluster->cluster.round_s = round_s;
  cluster->cluster.restart_s = restart_s;
  return SimulationSettings{.cluster = std::move(cluster->cluster),
                            .kinds = std::move(cluster->kinds),
                            .models_restarts = family.models_restarts && !command.restart_s,
                            .heeds_events = command.heeds_events,
                            .clock_ms = command.clock_ms,
                            .warn = command.warn};
}

/// Draws what came out into the file that the command names, if it names one.
template <class Result>
Read<void> write_plot(const Command& command, const Result& outcome) {
  if (command.plot.empty()) return {};
  std::ofstream stream(command.plot, std::ios::binary);
  stream << draw_svg(outcome);
  stream.close();
  if (!stream) return refuse(fmt::format("--plot: {} cannot be written", command.plot));
  return {};
}

Read<nlohmann::ordered_json> run_rounds(const Command& command) {
  const auto family = choose_family(command.family);
  if (!family) return tl::unexpected(family.error());
  const bool has_profiles = !(*family)->profiles.empty();
  if (auto checked =
          check_unused(command, {{"--load", command.load_percent.has_value()},
                                 {"--seed", command.seed.has_value()},
                                 {"--events", (*family)->promises_rounds && command.heeds_events},
                                 {"--restart", (*family)->has_kinds && command.restart_s.has_value()}});
      !checked)
    return tl::unexpected(checked.error());
  if (!has_profiles && !command.profiles.empty() && command.warn)
    command.warn(fmt::format("--profiles: not read: the jobs of --family {} need none", command.family));
  if (has_profiles && command.profiles.empty())
    return refuse(fmt::format("--profiles: name {}", (*family)->profiles));
  if (command.workload.empty()) return refuse("--workload: name the CSV file of the jobs");
  const auto policy = choose_policy(command.policy, scheduler::list_policies());
  if (!policy) return tl::unexpected(policy.error());
  if (auto checked = check_suits(**family, **policy); !checked) return tl::unexpected(checked.error());
  if (command.heeds_events && !(*policy)->needs_oracle) {
    const auto made = (*policy)->make(nullptr);
    if (made->plans_at_events() || made->plans_at_submissions())
      return refuse(fmt::format("--events: --policy {} has moments of its own to plan at", (*policy)->name));
  }
  const auto settings = read_settings(command, **family);
  if (!settings) return tl::unexpected(settings.error());
  const auto outcome = (*family)->run(command.profiles, command.workload, **policy, *settings);
  if (!outcome) return tl::unexpected(outcome.error());
  if (auto written = write_plot(command, *outcome); !written) return tl::unexpected(written.error());
  return to_json(*outcome);
}

Read<nlohmann::ordered_json> run_openb(const Command& command) {
  if (auto checked = check_unused(command, {{"--cluster", command.cluster.has_value()},
                                            {"--round", command.round_s.has_value()},
                                            {"--restart", command.restart_s.has_value()},
                                            {"--events", command.heeds_events}});
      !checked)
    return tl::unexpected(checked.error());
  if (command.profiles.empty()) return refuse("--profiles: name the CSV file of the nodes");
  if (command.workload.empty()) return refuse("--workload: name the CSV file of the pods");
  const std::uint32_t load = command.load_percent.value_or(130);
  if (load == 0 || load > kMaxLoadPercent)
    return refuse(fmt::format("--load: expected 1 to {} percent, got {}", kMaxLoadPercent, load));
  const auto policy = choose_policy(command.policy, scheduler::list_packing_policies());
  if (!policy) return tl::unexpected(policy.error());
  const auto cluster = read_openb_nodes(command.profiles);
  if (!cluster) return tl::unexpected(cluster.error());
  const auto pods = read_openb_pods(command.workload, *cluster);
  if (!pods) return tl::unexpected(pods.error());
  const std::uint64_t seed = command.seed.value_or(42);
  const auto outcome =
      simulate_packing(cluster->nodes, *pods, draw_arrivals(*pods, cluster->nodes, load, seed),
                       *(*policy)->make(seed), command.clock_ms);
  if (!outcome) return tl::unexpected(outcome.error());
  if (auto written = write_plot(command, *outcome); !written) return tl::unexpected(written.error());
  return to_json(*outcome);
}

}  // namespace

Read<std::string> run(const Command& command) {
  if (command.lists_policies) return list_policies();
  const auto report = command.family == kOpenb ? run_openb(command) : run_rounds(command);
  if (!report) return tl::unexpected(report.error());
  return command.as_json ? report->dump() + "\n" : to_table(*report);
}

}  // namespace ds::simulator
