#include "scheduler/simulator/family.hpp"

#include <algorithm>
#include <array>

#include "scheduler/simulator/live_job.hpp"
#include "scheduler/simulator/philly_trace.hpp"
#include "scheduler/simulator/shockwave_trace.hpp"
#include "scheduler/simulator/workload.hpp"

namespace ds::simulator {
namespace {

using scheduler::PolicyEntry;

Read<Outcome> run_pollux(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                         const PolicyEntry& policy, const SimulationSettings& settings) {
  auto read = read_applications(profiles);
  if (!read) return tl::unexpected(read.error());
  const ApplicationsByKind applications{std::move(*read)};
  auto submissions = read_pollux_workload(workload, applications);
  if (!submissions) return tl::unexpected(submissions.error());
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
        .experience = experiences.of(submission.applications.front()->limits())};
    jobs.push_back(std::make_unique<PolluxJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                               job_settings));
  }
  return simulate(jobs, *policy.make(nullptr), settings);
}

Read<Outcome> run_elasticflow(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                              const PolicyEntry& policy, const SimulationSettings& settings) {
  const auto models = read_throughputs(profiles);
  if (!models) return tl::unexpected(models.error());
  auto submissions = read_elasticflow_workload(workload, *models);
  if (!submissions) return tl::unexpected(submissions.error());
  const auto restart_s = settings.models_restarts ? std::nullopt : std::optional(settings.cluster.restart_s);
  Jobs jobs;
  for (ElasticFlowSubmission& submission : *submissions)
    jobs.push_back(std::make_unique<ElasticFlowJob>(static_cast<std::uint32_t>(jobs.size()),
                                                    std::move(submission), restart_s,
                                                    policy.charges_restarts_late));
  return simulate(jobs, *policy.make(nullptr), settings);
}

Read<Outcome> run_rigid(Read<std::vector<RigidSubmission>> submissions, const PolicyEntry& policy,
                        const SimulationSettings& settings) {
  if (!submissions) return tl::unexpected(submissions.error());
  Jobs jobs;
  for (RigidSubmission& submission : *submissions)
    jobs.push_back(std::make_unique<RigidJob>(static_cast<std::uint32_t>(jobs.size()), std::move(submission),
                                              settings.cluster.restart_s));
  return simulate(jobs, *policy.make(nullptr), settings);
}

Read<Outcome> run_shockwave(const std::filesystem::path&, const std::filesystem::path& workload,
                            const PolicyEntry& policy, const SimulationSettings& settings) {
  return run_rigid(read_shockwave_workload(workload), policy, settings);
}

Read<Outcome> run_philly(const std::filesystem::path&, const std::filesystem::path& workload,
                         const PolicyEntry& policy, const SimulationSettings& settings) {
  return run_rigid(read_philly_workload(workload), policy, settings);
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
