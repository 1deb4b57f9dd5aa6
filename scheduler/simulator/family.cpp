#include "scheduler/simulator/family.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduler/simulator/live_job.hpp"
#include "scheduler/simulator/philly_trace.hpp"
#include "scheduler/simulator/shockwave_trace.hpp"
#include "scheduler/simulator/workload.hpp"

namespace ds::simulator {
namespace {

using scheduler::PolicyEntry;

/// Refuses jobs that need more slots than they could ever have, in all or of one kind of GPU. `needs` says
/// how many one needs.
template <class Submission, class Needs>
Read<void> check_fits(const std::filesystem::path& workload, const std::vector<Submission>& submissions,
                      const SimulationSettings& settings, Needs needs) {
  std::vector<std::uint32_t> of_kind(settings.cluster.count_kinds(), 0);
  for (std::size_t node = 0; node < settings.cluster.slots.size(); ++node)
    of_kind[settings.cluster.kind_of(node)] += settings.cluster.slots[node];
  const std::uint32_t most = *std::max_element(of_kind.begin(), of_kind.end());
  const Submission* first = nullptr;
  std::size_t too_large = 0;
  for (const Submission& submission : submissions) {
    if (needs(submission) <= most) continue;
    if (++too_large == 1 || submission.at.line < first->at.line) first = &submission;
  }
  if (first == nullptr) return {};
  return refuse(
      fmt::format("{}:{}:{}: {} needs {} slots and could never start: the cluster has {}{}{}; name a larger "
                  "--cluster, or leave {} out",
                  workload.string(), first->at.line, first->at.column, first->name, needs(*first), most,
                  of_kind.size() > 1 ? " of one kind at most" : "",
                  too_large > 1 ? fmt::format(" (and {} more like it)", too_large - 1) : "",
                  too_large > 1 ? "them" : "it"));
}

/// Says so where nodes have more slots than any that steps were measured on.
void warn_of_nodes(const std::map<std::string, ApplicationProfile>& applications, std::string_view name,
                   std::uint32_t slots, const SimulationSettings& settings) {
  std::uint32_t measured = 0;
  for (const auto& entry : applications) measured = std::max(measured, entry.second.most_per_node());
  if (slots <= measured || !settings.warn) return;
  settings.warn(fmt::format(
      "--cluster: nodes{}{} have {} slots, and steps were measured with {} of a node at most: "
      "more on one take as long as the measured placement with the nearest number of nodes, and of "
      "those the nearest number of slots",
      name.empty() ? "" : " of kind ", name, slots, measured));
}

std::uint32_t largest_node(const scheduler::ElasticCluster& cluster, std::uint32_t kind) {
  std::uint32_t slots = 0;
  for (std::size_t node = 0; node < cluster.slots.size(); ++node) {
    if (cluster.kind_of(node) == kind) slots = std::max(slots, cluster.slots[node]);
  }
  return slots;
}

Read<Outcome> run_pollux(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                         const PolicyEntry& policy, const SimulationSettings& settings) {
  auto read = read_applications(profiles);
  if (!read) return tl::unexpected(read.error());
  const ApplicationsByKind applications{std::move(*read)};
  auto submissions = read_pollux_workload(workload, applications);
  if (!submissions) return tl::unexpected(submissions.error());
  const auto needs = [&](const PolluxSubmission& job) { return policy.gives_as_asked ? job.slots : 1; };
  if (auto fits = check_fits(workload, *submissions, settings, needs); !fits)
    return tl::unexpected(fits.error());
  warn_of_nodes(applications.front(), "", largest_node(settings.cluster, 0), settings);
  PolluxSettings job_settings{.restart_s = settings.cluster.restart_s,
                              .max_slots = settings.cluster.total(),
                              .adapts_batch = policy.adapts_batch};
  Experiences experiences(1);
  Jobs jobs;
  std::vector<const PolluxJob*> known;
  for (PolluxSubmission& submission : *submissions) {
    if (policy.trains_live) {
      jobs.push_back(std::make_unique<LiveJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                               settings.cluster.restart_s));
      continue;
    }
    if (!policy.learns_alone)
      job_settings.experience = experiences.of(submission.applications.front()->limits());
    auto job = std::make_unique<PolluxJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                           job_settings);
    known.push_back(job.get());
    jobs.push_back(std::move(job));
  }
  const PolluxOracle oracle(std::move(known));
  return simulate(jobs, *policy.make(policy.needs_oracle ? &oracle : nullptr), settings);
}

/// What Sia's authors measured of a model, from the traces' README.
struct SiaRules {
  std::string_view application;
  double restart_s = 30;
  double slowdown = 1.2;
};

constexpr std::array kSiaRules{SiaRules{"cifar10", 50, 1.8}, SiaRules{"deepspeech2", 25},
                               SiaRules{"bert", 120},        SiaRules{"yolov3", 80},
                               SiaRules{"imagenet", 250},    SiaRules{"ncf", 15, 1.5}};

Read<Outcome> run_sia(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                      const PolicyEntry& policy, const SimulationSettings& settings) {
  ApplicationsByKind applications;
  for (const std::string& kind : settings.kinds) {
    auto read = read_applications(profiles, kind);
    if (!read) return tl::unexpected(read.error());
    applications.push_back(std::move(*read));
  }
  auto submissions = read_pollux_workload(workload, applications);
  if (!submissions) return tl::unexpected(submissions.error());
  const auto needs = [&](const PolluxSubmission& job) { return policy.gives_as_asked ? job.slots : 1; };
  if (auto fits = check_fits(workload, *submissions, settings, needs); !fits)
    return tl::unexpected(fits.error());
  for (std::uint32_t kind = 0; kind < applications.size(); ++kind)
    warn_of_nodes(applications[kind], settings.kinds[kind], largest_node(settings.cluster, kind), settings);
  Experiences experiences(applications.size());
  Jobs jobs;
  for (PolluxSubmission& submission : *submissions) {
    const auto rules = std::find_if(kSiaRules.begin(), kSiaRules.end(), [&](const SiaRules& r) {
      return r.application == submission.applications.front()->name();
    });
    const PolluxSettings job_settings{
        .restart_s = rules->restart_s,
        .slowdown = rules->slowdown,
        .max_slots = settings.cluster.total(),
        .adapts_batch = policy.adapts_batch,
        .node_kinds = settings.cluster.kinds,
        .experience =
            policy.learns_alone ? nullptr : experiences.of(submission.applications.front()->limits())};
    jobs.push_back(std::make_unique<PolluxJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                               job_settings));
  }
  return simulate(jobs, *policy.make(nullptr), settings);
}

Read<Outcome> run_elasticflow(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                              const PolicyEntry& policy, const SimulationSettings& settings) {
  const auto models = read_throughputs(profiles);
  if (!models) return tl::unexpected(models.error());
  auto read = read_elasticflow_workload(workload, *models);
  if (!read) return tl::unexpected(read.error());
  const auto needs = [&](const ElasticFlowSubmission& job) {
    if (policy.keeps_deadlines) return 1U;  // it refuses whom it can't serve
    return policy.gives_as_asked || policy.trains_live ? job.slots : job.rates->measured().begin()->first;
  };
  if (auto fits = check_fits(workload, read->jobs, settings, needs); !fits)
    return tl::unexpected(fits.error());
  const auto restart_s = settings.models_restarts ? std::nullopt : std::optional(settings.cluster.restart_s);
  Jobs jobs;
  for (ElasticFlowSubmission& submission : read->jobs)
    jobs.push_back(std::make_unique<ElasticFlowJob>(static_cast<std::uint32_t>(jobs.size()),
                                                    std::move(submission), restart_s, policy.restart_charge));
  SimulationSettings by_its_clock = settings;
  by_its_clock.cluster.clock_s = read->first_s;
  return simulate(jobs, *policy.make(nullptr), by_its_clock);
}

Read<Outcome> run_rigid(const std::filesystem::path& workload, Read<std::vector<RigidSubmission>> submissions,
                        const PolicyEntry& policy, const SimulationSettings& settings) {
  if (!submissions) return tl::unexpected(submissions.error());
  const auto needs = [](const RigidSubmission& job) { return job.slots; };
  if (auto fits = check_fits(workload, *submissions, settings, needs); !fits)
    return tl::unexpected(fits.error());
  Jobs jobs;
  for (RigidSubmission& submission : *submissions) {
    const FilePlace at = submission.at;
    auto job = std::make_unique<RigidJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                          settings.cluster.restart_s);
    if (job->alone_s() > settings.time_limit_s)
      return refuse(fmt::format("{}:{}:1: {} takes {:.4g} days, and after {} no simulation goes on",
                                workload.string(), at.line, job->name(), job->alone_s() / 86400,
                                settings.time_limit_s / 86400));
    jobs.push_back(std::move(job));
  }
  return simulate(jobs, *policy.make(nullptr), settings);
}

Read<Outcome> run_shockwave(const std::filesystem::path&, const std::filesystem::path& workload,
                            const PolicyEntry& policy, const SimulationSettings& settings) {
  return run_rigid(workload, read_shockwave_workload(workload), policy, settings);
}

Read<Outcome> run_philly(const std::filesystem::path&, const std::filesystem::path& workload,
                         const PolicyEntry& policy, const SimulationSettings& settings) {
  return run_rigid(workload, read_philly_workload(workload), policy, settings);
}

constexpr std::array kFamilies{
    Family{.name = "pollux",
           .profiles = "the folder that has a folder for each application",
           .cluster = "16x4",
           .suits = [](const PolicyEntry&) { return true; },
           .run = run_pollux},
    Family{.name = "sia",
           .profiles = "the folder that has a folder for each application",
           .cluster = "6x4:aws+3x8:rtx+2x8:dgx-ext",
           .has_kinds = true,
           .suits = [](const PolicyEntry& policy) { return policy.chooses_kind; },
           .run = run_sia},
    Family{.name = "elasticflow",
           .profiles = "the folder that has a CSV file for each model",
           .cluster = "16x4",
           .models_restarts = true,
           .promises_rounds = true,
           .suits =
               [](const PolicyEntry& policy) {
                 return policy.keeps_deadlines || (!policy.adapts_batch && !policy.needs_oracle);
               },
           .run = run_elasticflow},
    Family{.name = "shockwave",
           .cluster = "8x4",
           .round_s = 120,
           .restart_s = 0,
           .suits = [](const PolicyEntry& policy) { return policy.keeps_rigid; },
           .run = run_shockwave},
    Family{.name = "philly",
           .cluster = "96x8",
           .suits = [](const PolicyEntry& policy) { return policy.keeps_rigid; },
           .run = run_philly},
};

}  // namespace

std::span<const Family> list_families() {
  return kFamilies;
}

}  // namespace ds::simulator
