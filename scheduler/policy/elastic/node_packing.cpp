#include "scheduler/policy/elastic/node_packing.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

class Packing {
 public:
  Packing(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
          std::span<const std::uint32_t> counts)
      : jobs_(jobs),
        counts_(counts),
        size_(*std::max_element(cluster.slots.begin(), cluster.slots.end())),
        free_(cluster.slots),
        plan_(jobs.size()),
        at_(cluster.slots.size()) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].slots.size() == counts[i] && is_compact(jobs[i].slots)) hold(i, jobs[i].slots);
    }
  }

  std::vector<Slots> pack() {
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (plan_[i].empty() && counts_[i] > 0) waiting.push_back(i);
    }
    const auto is_larger = [&](std::size_t a, std::size_t b) { return counts_[a] > counts_[b]; };
    std::stable_sort(waiting.begin(), waiting.end(), is_larger);
    // Those that are moved out of the way are smaller, so they come behind.
    for (std::size_t next = 0; next < waiting.size(); ++next) {
      for (const std::size_t moved : place(waiting[next])) {
        waiting.insert(std::upper_bound(waiting.begin() + static_cast<std::ptrdiff_t>(next) + 1,
                                        waiting.end(), moved, is_larger),
                       moved);
      }
    }
    return std::move(plan_);
  }

 private:
  bool is_compact(const Slots& slots) const {
    return count_nodes(slots) == (slots.size() + size_ - 1) / size_;
  }

  void hold(std::size_t job, const Slots& slots) {
    plan_[job] = slots;
    for (const std::uint32_t node : slots) {
      --free_[node];
      if (at_[node].empty() || at_[node].back() != job) at_[node].push_back(job);
    }
  }

  void release(std::size_t job) {
    for (const std::uint32_t node : plan_[job]) {
      ++free_[node];
      std::erase(at_[node], job);
    }
    plan_[job].clear();
  }

  /// What must be moved so that `count` slots of the node are free, if that can be: jobs smaller than `count`
  /// that are on no other node, the fewest slots.
  std::optional<std::vector<std::size_t>> clear_for(std::uint32_t node, std::uint32_t count) const {
    std::vector<std::size_t> small;
    for (const std::size_t job : at_[node]) {
      if (counts_[job] < count && count_nodes(plan_[job]) == 1) small.push_back(job);
    }
    std::stable_sort(small.begin(), small.end(),
                     [&](std::size_t a, std::size_t b) { return counts_[a] > counts_[b]; });
    std::uint32_t missing = count - std::min(count, free_[node]);
    std::vector<std::size_t> moved;
    for (const std::size_t job : small) {
      if (counts_[job] > missing) continue;
      moved.push_back(job);
      missing -= counts_[job];
    }
    for (auto job = small.rbegin(); missing > 0 && job != small.rend(); ++job) {
      if (std::find(moved.begin(), moved.end(), *job) != moved.end()) continue;
      moved.push_back(*job);
      missing -= std::min(missing, counts_[*job]);
    }
    if (missing > 0) return std::nullopt;
    return moved;
  }

  /// Takes `count` slots of one node; false when no node can be cleared.
  bool take_one_node(std::uint32_t count, Slots& taken, std::vector<std::size_t>& moved) {
    std::optional<std::uint32_t> best;
    std::vector<std::size_t> best_moved;
    std::pair<std::uint32_t, std::uint32_t> least{std::numeric_limits<std::uint32_t>::max(), 0};
    for (std::uint32_t node = 0; node < free_.size(); ++node) {
      const auto here = clear_for(node, count);
      if (!here || std::find(taken.begin(), taken.end(), node) != taken.end()) continue;
      std::uint32_t slots = 0;
      for (const std::size_t job : *here) slots += counts_[job];
      const std::pair cost{slots, free_[node]};
      if (cost >= least) continue;
      least = cost;
      best = node;
      best_moved = *here;
    }
    if (!best) return false;
    for (const std::size_t job : best_moved) release(job);
    moved.insert(moved.end(), best_moved.begin(), best_moved.end());
    taken.insert(taken.end(), count, *best);
    return true;
  }

  /// Returns the jobs that lost their slots for it.
  std::vector<std::size_t> place(std::size_t job) {
    Slots taken;
    std::vector<std::size_t> moved;
    std::uint32_t left = counts_[job];
    for (; left > 0; left -= std::min(left, size_)) {
      if (!take_one_node(std::min(left, size_), taken, moved)) break;
    }
    for (; left > 0; --left) {  // split: slots wherever they are free
      std::vector<std::uint32_t> open = free_;
      for (const std::uint32_t node : taken) --open[node];
      const auto most = std::max_element(open.begin(), open.end());
      taken.push_back(static_cast<std::uint32_t>(most - open.begin()));
    }
    std::sort(taken.begin(), taken.end());
    hold(job, taken);
    return moved;
  }

  std::span<const ElasticJob> jobs_;
  std::span<const std::uint32_t> counts_;
  std::uint32_t size_;  ///< of the largest node
  std::vector<std::uint32_t> free_;
  std::vector<Slots> plan_;
  std::vector<std::vector<std::size_t>> at_;  ///< jobs on each node
};

}  // namespace

std::vector<Slots> pack_nodes(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                              std::span<const std::uint32_t> counts) {
  return Packing(cluster, jobs, counts).pack();
}

}  // namespace ds::scheduler
