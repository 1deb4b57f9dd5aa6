#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {
namespace {

/// Of a job that is on no set of nodes; its `list` is how many nodes all sets had at the last plan.
constexpr std::uint32_t kWaits = std::numeric_limits<std::uint32_t>::max();
constexpr double kTurnS = 60;

/// Whole nodes for jobs that ask for equally many slots: the first of them run, as many as find room, and the
/// others wait for their turn. A job's `QueuePlace` is the set's number among those of its size, how many
/// jobs the set has been given, and where in the set it is.
struct NodeSet {
  std::vector<std::uint32_t> nodes{};
  std::vector<std::size_t> jobs{};
  std::uint32_t given = 0;  ///< jobs since it was made or emptied to be filled anew, those that ended too
};

/// The sets of all sizes and the nodes that are in none.
class NodeSets {
 public:
  /// As they were when the jobs were planned last, without those whose jobs have all ended.
  NodeSets(const ElasticCluster& cluster, std::span<const ElasticJob> jobs)
      : jobs_(jobs),
        node_slots_(*std::min_element(cluster.slots.begin(), cluster.slots.end())),
        is_free_(cluster.slots.size(), true) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, NodeSet> kept;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!is_placed(i)) continue;
      NodeSet& set = kept[{jobs[i].requested_slots, jobs[i].place->queue}];
      set.jobs.push_back(i);
      set.given = jobs[i].place->list;
      if (set.nodes.empty()) set.nodes = take_again(jobs[i]);
    }
    for (auto& [key, set] : kept) {
      std::sort(set.jobs.begin(), set.jobs.end(),
                [&](std::size_t a, std::size_t b) { return jobs[a].place->at < jobs[b].place->at; });
      if (set.nodes.empty() && width(key.first) <= count_free()) set.nodes = take(width(key.first));
      if (!set.nodes.empty()) by_size_[key.first].push_back(std::move(set));
    }
  }

  const std::map<std::uint32_t, std::vector<NodeSet>>& by_size() const { return by_size_; }
  std::uint32_t count_taken() const { return static_cast<std::uint32_t>(is_free_.size()) - count_free(); }
  std::size_t capacity(std::uint32_t size) const { return width(size) * node_slots_ / size; }
  bool is_placed(std::size_t job) const { return jobs_[job].place && jobs_[job].place->queue != kWaits; }

  /// Those that ran go behind those that waited.
  void take_turns() {
    for (auto& [size, sets] : by_size_) {
      const std::size_t most = capacity(size);
      for (NodeSet& set : sets)
        std::stable_partition(set.jobs.begin(), set.jobs.end(),
                              [&](std::size_t job) { return jobs_[job].place->at >= most; });
    }
  }

  /// Puts a job on a set, or returns false when there is neither one for its size nor nodes for one.
  bool place(std::size_t job) {
    const std::uint32_t size = jobs_[job].requested_slots;
    std::vector<NodeSet>& sets = by_size_[size];
    if (!sets.empty()) {
      // Only the first set is asked, and a set is held to be full one job early.
      const bool has_room = sets.front().given + 1 < capacity(size);
      std::rotate(sets.begin(), sets.begin() + 1, sets.end());
      if (has_room) return put(job, sets, sets.size() - 1);
    }
    if (width(size) <= count_free()) {
      sets.push_back({.nodes = take(width(size))});
      return put(job, sets, sets.size() - 1);
    }
    return !sets.empty() && put(job, sets, 0);
  }

  /// Gives each size the nodes that its share of all slots asked for makes up.
  void adjust() {
    std::uint64_t all = 0;
    for (const auto& [size, sets] : by_size_) all += wanted(size, sets);
    for (auto& [size, sets] : by_size_) {
      if (wanted(size, sets) == 0) continue;
      const std::uint64_t slots = is_free_.size() * node_slots_;
      const std::uint64_t target = std::min(wanted(size, sets) * slots / all, wanted(size, sets));
      const std::uint64_t has = sets.size() * width(size) * node_slots_;
      if (target > has) grow(size, sets, (target - has + size - 1) / size);
      if (target < has) shrink(sets, std::min((has - target + size - 1) / size, sets.size() - 1));
    }
  }

  Slots slots_of(const NodeSet& set, std::uint32_t size) const {
    Slots slots;
    for (std::uint32_t left = size, node = 0; left > 0; ++node) {
      const std::uint32_t here = std::min(left, node_slots_);
      slots.insert(slots.end(), here, set.nodes[node]);
      left -= here;
    }
    return slots;
  }

 private:
  std::uint32_t width(std::uint32_t size) const { return (size + node_slots_ - 1) / node_slots_; }
  std::uint32_t count_free() const {
    return static_cast<std::uint32_t>(std::count(is_free_.begin(), is_free_.end(), true));
  }

  static std::uint64_t wanted(std::uint32_t size, const std::vector<NodeSet>& sets) {
    std::uint64_t jobs = 0;
    for (const NodeSet& set : sets) jobs += set.jobs.size();
    return jobs * size;
  }

  static void sort(std::vector<NodeSet>& sets) {
    std::stable_sort(sets.begin(), sets.end(),
                     [](const NodeSet& a, const NodeSet& b) { return a.given < b.given; });
  }

  bool put(std::size_t job, std::vector<NodeSet>& sets, std::size_t set) {
    sets[set].jobs.push_back(job);
    ++sets[set].given;
    std::rotate(sets.begin() + static_cast<std::ptrdiff_t>(set),
                sets.begin() + static_cast<std::ptrdiff_t>(set) + 1, sets.end());
    sort(sets);
    return true;
  }

  std::vector<std::uint32_t> take(std::uint32_t count) {
    std::vector<std::uint32_t> nodes;
    for (std::uint32_t node = 0; nodes.size() < count; ++node) {
      if (!is_free_[node]) continue;
      is_free_[node] = false;
      nodes.push_back(node);
    }
    return nodes;
  }

  /// The nodes that the job runs on; none when it doesn't run.
  std::vector<std::uint32_t> take_again(const ElasticJob& job) {
    std::vector<std::uint32_t> nodes(job.slots);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    const auto is_free = [&](std::uint32_t node) { return is_free_[node]; };
    if (nodes.size() != width(job.requested_slots) || !std::all_of(nodes.begin(), nodes.end(), is_free))
      return {};
    for (const std::uint32_t node : nodes) is_free_[node] = false;
    return nodes;
  }

  void grow(std::uint32_t size, std::vector<NodeSet>& sets, std::uint64_t count) {
    std::uint64_t made = 0;
    for (; made < count && width(size) <= count_free(); ++made) sets.push_back({.nodes = take(width(size))});
    // Sets of one node, if all of them could be made, stay empty, and are gone at the next plan.
    if (made == count && width(size) == 1) return;
    std::vector<std::size_t> jobs;
    for (NodeSet& set : sets) {
      jobs.insert(jobs.end(), set.jobs.begin(), set.jobs.end());
      set.jobs.clear();
      set.given = 0;
    }
    fill(jobs, sets);
  }

  void shrink(std::vector<NodeSet>& sets, std::uint64_t count) {
    std::vector<std::size_t> jobs;
    for (std::uint64_t i = 0; i < count; ++i) {
      for (const std::uint32_t node : sets[i].nodes) is_free_[node] = true;
      jobs.insert(jobs.end(), sets[i].jobs.begin(), sets[i].jobs.end());
    }
    sets.erase(sets.begin(), sets.begin() + static_cast<std::ptrdiff_t>(count));
    fill(jobs, sets);
  }

  static void fill(const std::vector<std::size_t>& jobs, std::vector<NodeSet>& sets) {
    for (const std::size_t job : jobs) {
      sets.front().jobs.push_back(job);
      ++sets.front().given;
      sort(sets);
    }
  }

  std::span<const ElasticJob> jobs_;
  std::uint32_t node_slots_;
  std::vector<bool> is_free_;  ///< of each node
  std::map<std::uint32_t, std::vector<NodeSet>> by_size_;
};

/// Gandiva (Xiao et al., OSDI 2018) as in the public simulator of ElasticFlow's comparison (ASPLOS 2023):
/// jobs of one size share sets of whole nodes, on which they take turns, and sizes share the nodes by what is
/// asked for. The published count hangs on what is odd there, so all of it is here: it looks only when jobs
/// come, and the slots of those that end in between stand idle; turns change only when it looks in the first
/// second of a minute of the trace's clock; a set's load is all jobs that it was given, those that ended too;
/// who found no set is tried again only when a set has become empty, and not right behind one that found one.
class Gandiva final : public ElasticPolicy {
 public:
  bool plans_at_submissions() const override { return true; }

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double now_s) const override {
    return decide(cluster, jobs, now_s).slots;
  }

  Decision decide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                  double now_s) const override {
    NodeSets sets(cluster, jobs);
    if (std::fmod(cluster.clock_s + now_s, kTurnS) < 1) sets.take_turns();
    const std::uint32_t taken = sets.count_taken();
    bool became_empty = false;
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (sets.is_placed(i)) continue;
      if (jobs[i].place) became_empty |= jobs[i].place->list > taken;
      if (jobs[i].place || !sets.place(i)) waiting.push_back(i);
    }
    for (std::size_t k = 0; became_empty && k < waiting.size(); ++k) {
      if (sets.place(waiting[k])) ++k;  // the one behind it is not tried
    }
    sets.adjust();
    return describe(sets, jobs);
  }

 private:
  static Decision describe(const NodeSets& sets, std::span<const ElasticJob> jobs) {
    Decision decision{std::vector<Slots>(jobs.size())};
    decision.places.assign(jobs.size(), {kWaits, sets.count_taken(), 0});
    for (const auto& [size, of_size] : sets.by_size()) {
      for (std::uint32_t number = 0; number < of_size.size(); ++number) {
        const NodeSet& set = of_size[number];
        for (std::uint32_t at = 0; at < set.jobs.size(); ++at) {
          decision.places[set.jobs[at]] = {number, set.given, at};
          if (at < sets.capacity(size)) decision.slots[set.jobs[at]] = sets.slots_of(set, size);
        }
      }
    }
    return decision;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_gandiva_policy(const Oracle*) {
  return std::make_unique<Gandiva>();
}

}  // namespace ds::scheduler
