#include "scheduler/simulator/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "scheduler/simulator/report.hpp"
#include "scheduler/simulator/workload.hpp"
#include "scheduler/spec/identifier.hpp"

namespace ds::simulator {
namespace {

constexpr std::uint32_t kMaxRoundS = 86'400;

std::string list_policies() {
  std::string text;
  for (const auto& policy : scheduler::list_policies())
    text += fmt::format("{:<10} {}{}\n", policy.name, policy.summary,
                        policy.needs_oracle ? " (no scheduler could have it)" : "");
  return text;
}

Read<const scheduler::PolicyEntry*> choose_policy(const std::string& name) {
  if (const auto* policy = scheduler::find_policy(name)) return policy;
  std::vector<std::string_view> names;
  for (const auto& policy : scheduler::list_policies()) names.push_back(policy.name);
  const std::string near = scheduler::nearest(name, names);
  return refuse(fmt::format("--policy: there is no policy \"{}\"{}; there are {}", name,
                            near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near),
                            fmt::join(names, ", ")));
}

Read<Outcome> run_pollux(const Command& command, const scheduler::PolicyEntry& entry,
                         const SimulationSettings& settings) {
  const auto applications = read_applications(command.profiles);
  if (!applications) return tl::unexpected(applications.error());
  auto submissions = read_pollux_workload(command.workload, *applications);
  if (!submissions) return tl::unexpected(submissions.error());
  const PolluxSettings job_settings{.restart_s = settings.cluster.restart_s,
                                    .max_slots = settings.cluster.total(),
                                    .adapts_batch = entry.adapts_batch};
  Jobs jobs;
  std::vector<const PolluxJob*> known;
  for (PolluxSubmission& submission : *submissions) {
    auto job = std::make_unique<PolluxJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                           job_settings);
    known.push_back(job.get());
    jobs.push_back(std::move(job));
  }
  const PolluxOracle oracle(std::move(known));
  return simulate(jobs, *entry.make(entry.needs_oracle ? &oracle : nullptr), settings);
}

Read<Outcome> run_elasticflow(const Command& command, const scheduler::PolicyEntry& entry,
                              const SimulationSettings& settings) {
  const auto needs_more = [](const scheduler::PolicyEntry& policy) {
    return policy.adapts_batch || policy.needs_oracle;
  };
  if (needs_more(entry)) {
    std::vector<std::string_view> others;
    for (const auto& policy : scheduler::list_policies()) {
      if (!needs_more(policy)) others.push_back(policy.name);
    }
    return refuse(fmt::format("--policy: {} decides by what only the pollux family has; choose one of {}",
                              entry.name, fmt::join(others, ", ")));
  }
  const auto models = read_throughputs(command.profiles);
  if (!models) return tl::unexpected(models.error());
  auto submissions = read_elasticflow_workload(command.workload, *models);
  if (!submissions) return tl::unexpected(submissions.error());
  Jobs jobs;
  for (ElasticFlowSubmission& submission : *submissions)
    jobs.push_back(std::make_unique<ElasticFlowJob>(static_cast<std::uint32_t>(jobs.size()),
                                                    std::move(submission), settings.cluster.restart_s));
  return simulate(jobs, *entry.make(nullptr), settings);
}

Read<void> check(const Command& command) {
  if (command.family != "pollux" && command.family != "elasticflow")
    return refuse(fmt::format("--family: expected pollux or elasticflow, got \"{}\"", command.family));
  if (command.round_s == 0 || command.round_s > kMaxRoundS)
    return refuse(fmt::format("--round: expected 1 to {} seconds, got {}", kMaxRoundS, command.round_s));
  if (command.restart_s > kMaxRoundS)
    return refuse(fmt::format("--restart: expected 0 to {} seconds, got {}", kMaxRoundS, command.restart_s));
  if (command.profiles.empty())
    return refuse("--profiles: name the folder that has a folder for each application, or a CSV file");
  if (command.workload.empty()) return refuse("--workload: name the CSV file of the jobs");
  return {};
}

}  // namespace

Read<std::string> run(const Command& command) {
  if (command.lists_policies) return list_policies();
  if (auto checked = check(command); !checked) return tl::unexpected(checked.error());
  const auto policy = choose_policy(command.policy);
  if (!policy) return tl::unexpected(policy.error());
  auto cluster = parse_cluster(command.cluster);
  if (!cluster) return tl::unexpected(cluster.error());
  cluster->round_s = command.round_s;
  cluster->restart_s = command.restart_s;
  const SimulationSettings settings{.cluster = std::move(*cluster), .clock_ms = command.clock_ms};
  const auto outcome = command.family == "pollux" ? run_pollux(command, **policy, settings)
                                                  : run_elasticflow(command, **policy, settings);
  if (!outcome) return tl::unexpected(outcome.error());
  const auto report = to_json(*outcome);
  return command.as_json ? report.dump() + "\n" : to_table(report);
}

}  // namespace ds::simulator
