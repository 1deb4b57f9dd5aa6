#include "scheduler/policy/elastic/rigid_jobs.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Of the time that all work will take: from there on a job's own time decides when the last one ends.
constexpr double kEndShare = 0.9;
/// The finish-time ratio, on the present crowd, from which on a job has waited out of proportion. With 2 to 3
/// all goes alike; below, average and end get worse, above, the worst job.
constexpr double kWorstRatio = 2.5;

enum class Urgency { waited_too_long, decides_the_end, ordinary };

struct Candidate {
  std::size_t job = 0;
  Urgency urgency = Urgency::ordinary;
  double key = 0;  ///< among equally urgent ones the smallest goes first
};

/// What a job has left that nobody has planned: about as much as it has run, as times are that are spread
/// over orders of magnitude. In steps of two, so that equals don't take turns with a restart each round.
double expect_s(const ElasticCluster& cluster, const ElasticJob& job) {
  return cluster.round_s * std::exp2(std::ceil(std::log2(std::max(job.run_s / cluster.round_s, 1.0))));
}

double left_s(const ElasticCluster& cluster, const ElasticJob& job) {
  const double planned_s = job.planned_s ? *job.planned_s : expect_s(cluster, job);
  return planned_s + (job.slots.empty() ? cluster.restart_s : job.standing_s);
}

/// From submission to end, if it ran from now on, over what its share of the cluster would take.
double finish_time_ratio(const ElasticJob& job, double left, double crowd, double now_s) {
  return (now_s - job.submitted_s + left) / ((job.run_s + left) * crowd);
}

std::vector<Candidate> rank(const ElasticCluster& cluster, std::span<const ElasticJob> jobs, double now_s) {
  double work = 0;
  double longest_s = 0;
  for (const ElasticJob& job : jobs) {
    if (job.requested_slots > cluster.total()) continue;
    work += left_s(cluster, job) * job.requested_slots;
    longest_s = std::max(longest_s, left_s(cluster, job));
  }
  const double all_s = std::max(work / cluster.total(), longest_s);
  const double crowd = std::max(1.0, static_cast<double>(jobs.size()) / cluster.total());
  std::vector<Candidate> order;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].requested_slots > cluster.total()) continue;
    const double left = left_s(cluster, jobs[i]);
    const double ratio = finish_time_ratio(jobs[i], left, crowd, now_s);
    if (ratio >= kWorstRatio) {
      order.push_back({i, Urgency::waited_too_long, -ratio});
    } else if (jobs[i].planned_s && left >= kEndShare * all_s) {
      order.push_back({i, Urgency::decides_the_end, -left});
    } else {
      order.push_back({i, Urgency::ordinary, left * jobs[i].requested_slots});
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.urgency, a.key) < std::pair(b.urgency, b.key);
  });
  return order;
}

}  // namespace

std::vector<Slots> plan_rigid_jobs(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                   double now_s) {
  std::uint32_t left = cluster.total();
  std::vector<std::size_t> granted;
  for (const Candidate& candidate : rank(cluster, jobs, now_s)) {
    const std::uint32_t wanted = jobs[candidate.job].requested_slots;
    if (wanted > left) continue;
    left -= wanted;
    granted.push_back(candidate.job);
  }
  std::vector<Slots> plan(jobs.size());
  FreeSlots free(cluster);
  for (const std::size_t job : granted) {
    plan[job] = jobs[job].slots;
    free.take(plan[job]);
  }
  for (const std::size_t job : granted) {
    if (plan[job].empty()) plan[job] = free.take_packed(jobs[job].requested_slots);
  }
  return plan;
}

}  // namespace ds::scheduler
