#include <algorithm>
#include <numeric>
#include <optional>
#include <queue>

#include "scheduler/policy/elastic/deadline_jobs.hpp"
#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/job_value.hpp"
#include "scheduler/policy/elastic/kinds_of_gpu.hpp"
#include "scheduler/policy/elastic/node_packing.hpp"
#include "scheduler/policy/elastic/rigid_jobs.hpp"

namespace ds::scheduler {
namespace {

/// How long a job does what its model says before idle slots are used to find out whether that was wrong.
constexpr double kTryAfterS = 300;
constexpr double kRankPower = 1;

/// A job while the slots are divided.
struct Share {
  std::vector<std::uint32_t> sizes;  ///< that it may have, the smallest first
  std::vector<double> values;        ///< of each
  std::optional<std::size_t> at;     ///< the size it has in the plan
  double weight = 1;

  std::uint32_t slots() const { return at ? sizes[*at] : 0; }
};

/// Elastic, by goodput and attained work.
///
/// Every job gets a slot, a rigid one all of its, in order; then slots go where they add the most weighted
/// value for each, value being a power of the speed-up over one slot that the fitted goodput predicts, less
/// the cost of a restart where the size changes. Weights fall along the order of `rank_jobs`. Slots that are
/// left let jobs try twice as many as ever.
class Ds final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double now_s) const override {
    if (std::all_of(jobs.begin(), jobs.end(), [](const ElasticJob& job) { return job.is_rigid; }))
      return plan_rigid_jobs(cluster, jobs, now_s);
    if (cluster.count_kinds() > 1) return plan_on_kinds(cluster, jobs);
    const std::uint32_t per_node = *std::max_element(cluster.slots.begin(), cluster.slots.end());
    std::vector<Share> shares(jobs.size());
    std::vector<Goodput> goodputs(jobs.size());
    std::vector<double> left_s(jobs.size(), 0);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      goodputs[i] = {jobs[i].speed.value_or(SpeedModel{}), jobs[i].noise, jobs[i].batch};
      shares[i].sizes = jobs[i].is_rigid ? std::vector{jobs[i].requested_slots}
                                         : list_sizes(std::min(jobs[i].max_slots, cluster.total()), per_node);
      if (jobs[i].speed) left_s[i] = expect_left_s(jobs[i], goodputs[i].best(1, 1));
    }
    const std::vector<std::size_t> order = rank_jobs(jobs, left_s);
    for (std::size_t place = 0; place < order.size(); ++place)
      shares[order[place]].weight = rank_weight(place, order.size(), kRankPower);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      for (const std::uint32_t size : shares[i].sizes)
        shares[i].values.push_back(value(cluster, jobs[i], goodputs[i], shares[i], size, per_node));
    }
    std::uint32_t free = cluster.total();
    for (const std::size_t i : order) {
      if (shares[i].sizes.front() > free) continue;
      shares[i].at = 0;
      free -= shares[i].sizes.front();
    }
    free = grow(shares, free);
    try_more(jobs, shares, order, free);
    std::vector<std::uint32_t> counts(shares.size());
    std::transform(shares.begin(), shares.end(), counts.begin(),
                   [](const Share& share) { return share.slots(); });
    return pack_nodes(cluster, jobs, counts);
  }

  Decision decide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                  double now_s) const override {
    const bool have_deadlines =
        !jobs.empty() &&
        std::all_of(jobs.begin(), jobs.end(), [](const ElasticJob& job) { return job.deadline; });
    return have_deadlines ? plan_deadline_jobs(cluster, jobs, now_s) : Decision{plan(cluster, jobs, now_s)};
  }

 private:
  static double value(const ElasticCluster& cluster, const ElasticJob& job, const Goodput& goodput,
                      const Share& share, std::uint32_t size, std::uint32_t per_node) {
    if (!job.speed) return 0;
    const double speed = goodput.best((size + per_node - 1) / per_node, size);
    double speedup = speed / goodput.best(1, 1);
    if (!job.slots.empty() && job.slots.size() != size) speedup *= resize_factor(cluster, job, size, speed);
    return share.weight * speed_value(speedup);
  }

  struct Step {
    double gain = 0;  ///< of value for each slot
    std::size_t job = 0;
    std::size_t to = 0;
    bool operator<(const Step& other) const {
      return gain != other.gain ? gain < other.gain : job > other.job;
    }
  };

  static std::optional<Step> best_step(const Share& share, std::size_t job, std::uint32_t free) {
    Step best;
    for (std::size_t to = *share.at + 1; to < share.sizes.size(); ++to) {
      const std::uint32_t more = share.sizes[to] - share.slots();
      if (more > free) break;
      const double gain = (share.values[to] - share.values[*share.at]) / more;
      if (gain > best.gain) best = {gain, job, to};
    }
    return best.gain > 0 ? std::optional(best) : std::nullopt;
  }

  /// Gives `free` slots out as long as they add value; returns how many are left.
  static std::uint32_t grow(std::vector<Share>& shares, std::uint32_t free) {
    std::priority_queue<Step> steps;
    const auto push = [&](std::size_t i) {
      if (const auto step = best_step(shares[i], i, free)) steps.push(*step);
    };
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (shares[i].at) push(i);
    }
    while (!steps.empty() && free > 0) {
      const Step step = steps.top();
      steps.pop();
      Share& share = shares[step.job];
      const std::uint32_t more = share.sizes[step.to] - share.slots();
      if (more <= free) {
        share.at = step.to;
        free -= more;
      }
      push(step.job);
    }
    return free;
  }

  /// A model of what has never been tried can keep a job small for ever beside idle slots.
  static void try_more(std::span<const ElasticJob> jobs, std::vector<Share>& shares,
                       std::span<const std::size_t> order, std::uint32_t free) {
    for (const std::size_t i : order) {
      Share& share = shares[i];
      const std::uint32_t largest = share.sizes.back();
      const bool is_steady = jobs[i].slots.size() == share.slots() && jobs[i].unchanged_s >= kTryAfterS;
      if (!jobs[i].speed || !is_steady || share.slots() == 0 || 2 * largest <= jobs[i].max_slots) continue;
      const std::uint32_t more = largest - share.slots();
      if (2 * share.slots() < largest || more == 0 || more > free) continue;
      share.at = share.sizes.size() - 1;
      free -= more;
    }
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_ds_policy(const Oracle*) {
  return std::make_unique<Ds>();
}

}  // namespace ds::scheduler
