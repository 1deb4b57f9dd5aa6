#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Slot-seconds at which a job leaves its queue for the next; who is in the last one stays there.
constexpr std::array kLimits{3250.0, 7200.0};
/// Of sums of seconds.
constexpr double kRounding = 1e-6;

/// Discretized two-dimensional least attained service (Gu et al., NSDI 2019) as in ElasticFlow's comparison
/// (ASPLOS 2023): three queues by attained slot-seconds, newcomers at the end of the first. In their order
/// jobs get what they asked for; who does not fit is passed over, and goes behind those of its queue that
/// run. It is planned when a job comes or ends, and when the published rule expects one to leave its queue.
class TiresiasQueues final : public ElasticPolicy {
 public:
  bool plans_at_events() const override { return true; }

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double now_s) const override {
    return decide(cluster, jobs, now_s).slots;
  }

  Decision decide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                  double now_s) const override {
    std::vector<QueuePlace> places;
    for (std::size_t i = 0; i < jobs.size(); ++i) places.push_back(find_place(jobs[i], jobs.size() + i));
    std::vector<std::size_t> order(jobs.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return places[a] < places[b]; });
    Decision decision{give(cluster, jobs, order)};
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(places[a].queue, decision.slots[a].empty()) <
             std::pair(places[b].queue, decision.slots[b].empty());
    });
    for (std::uint32_t at = 0; at < order.size(); ++at) places[order[at]] = {places[order[at]].queue, 0, at};
    decision.places = places;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (decision.slots[i].empty() || places[i].queue == kLimits.size()) continue;
      // Slot-seconds less seconds: the published rule, which notices some changes late.
      const double left_s = (kLimits[places[i].queue] - run_s(jobs[i])) / jobs[i].requested_slots;
      const double leaves_s = now_s + std::ceil(left_s - kRounding);
      if (!decision.wake_s || leaves_s < *decision.wake_s) decision.wake_s = leaves_s;
    }
    return decision;
  }

 private:
  /// How long it has made steps; where that isn't known, how long it has had slots.
  static double run_s(const ElasticJob& job) {
    if (!job.planned_s || !job.deadline) return job.attained_slot_s / job.requested_slots;
    return job.progress * *job.planned_s / job.deadline->steps_left;
  }

  /// At the end of the next queue when it has had enough since the last plan.
  static QueuePlace find_place(const ElasticJob& job, std::size_t end) {
    QueuePlace place = job.place.value_or(QueuePlace{0, 0, static_cast<std::uint32_t>(end)});
    if (place.queue < kLimits.size() && run_s(job) * job.requested_slots >= kLimits[place.queue] - kRounding)
      place = {place.queue + 1, 0, static_cast<std::uint32_t>(end)};
    return place;
  }

  static std::vector<Slots> give(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                 std::span<const std::size_t> order) {
    std::vector<Slots> plan(jobs.size());
    std::uint32_t left = cluster.total();
    std::vector<std::size_t> granted;
    FreeSlots free(cluster);
    for (const std::size_t i : order) {
      if (jobs[i].requested_slots > left) continue;
      left -= jobs[i].requested_slots;
      granted.push_back(i);
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (const std::size_t i : granted) {
      if (plan[i].empty()) plan[i] = free.take_packed(jobs[i].requested_slots);
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_tiresias_queues_policy(const Oracle*) {
  return std::make_unique<TiresiasQueues>();
}

}  // namespace ds::scheduler
