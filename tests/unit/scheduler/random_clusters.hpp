#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler::testing {

using Random = std::mt19937_64;
inline constexpr std::uint64_t kGi = 1ULL << 30;

inline std::uint32_t between(Random& random, std::uint32_t low, std::uint32_t high) {
  return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
}

/// What a job may have measured: it scales, or not, or in stairs, or gets slower. A third has measured
/// nothing.
inline void add_random_curve(Demand& demand, Random& random) {
  demand.curve = nullptr;
  demand.is_settled = between(random, 0, 3) != 0;
  demand.left_s = between(random, 0, 2) == 0 ? between(random, 1, 2000) : 0;
  if (between(random, 0, 2) == 0) return;
  SpeedCurve curve{std::max(1U, demand.workers.min), {0}, between(random, 0, 2) * 10.0};
  const std::uint32_t shape = between(random, 0, 3);
  for (std::uint32_t more = 1; curve.first + more <= demand.workers.max; ++more) {
    const double last = curve.log_speeds.back();
    const double low = shape == 0 ? 0.2 : shape == 1 ? 0 : -0.3;
    const double step = std::uniform_real_distribution<double>(low, shape == 1 ? 0.05 : 0.6)(random);
    curve.log_speeds.push_back(shape == 2 && more % 2 == 1 ? last : last + step);
  }
  demand.curve = std::make_shared<const SpeedCurve>(std::move(curve));
}

/// A stream beside `random`, which goes on as if nobody had asked.
inline Random beside(const Random& random) {
  Random copy = random;
  return Random(copy() ^ 0x9e3779b97f4a7c15ULL);
}

/// A third of the nodes has none.
inline void add_random_gpus(NodeView& node, Random random) {
  node.gpus = between(random, 0, 2) == 0 ? 0 : between(random, 1, 4);
  if (node.gpus > 0) node.gpu_kind = between(random, 0, 1) == 0 ? "NVIDIA H200" : "NVIDIA A100-SXM4-80GB";
}

inline bool has_gpus(const ClusterModel& cluster) {
  return std::ranges::any_of(cluster.nodes, [](const NodeView& node) { return node.gpus > 0; });
}

/// Such as leave odd rests on nodes.
inline SlotCount random_part(Random& random) {
  static constexpr std::uint64_t kThousandths[] = {50, 250, 333, 500, 500, 700, 1500, 2250};
  return SlotCount::of_thousandths(kThousandths[between(random, 0, 7)]);
}

inline void add_random_job(ClusterModel& cluster, Random& random, int number) {
  const std::uint32_t min = between(random, 1, 4);
  const std::uint32_t max = between(random, 0, 2) == 0 ? min : min + between(random, 0, 5);
  cluster.add_job("job" + std::to_string(number), {min, max},
                  between(random, 0, 3) == 0 ? between(random, 1, 3) : 1, between(random, 0, 3) * kGi);
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  demand.held = between(random, 0, 9) == 0;
  static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kNormalPriority,
                                                  kHighPriority, kCriticalPriority};
  demand.priority = kPriorities[between(random, 0, 4)];
  demand.preemptible = between(random, 0, 7) != 0;
  demand.is_young = between(random, 0, 5) == 0;
  if (between(random, 0, 2) > 0) demand.lasts_ms = 10'000 * between(random, 1, 20);
  Random gpus = beside(random);
  static constexpr PlacementRule kRules[] = {PlacementRule::pack, PlacementRule::pack, PlacementRule::spread,
                                             PlacementRule::same_node};
  demand.placement = kRules[between(gpus, 0, 3)];
  Random moves(gpus());
  demand.can_relocate = max > min && between(moves, 0, 2) != 0;
  demand.is_new_there = demand.is_young || between(moves, 0, 3) == 0;
  if (cluster.has_parts && between(moves, 0, 2) != 0) demand.slots = random_part(moves);
  if (!has_gpus(cluster) || between(gpus, 0, 1) == 0) return;
  static constexpr const char* kKinds[] = {"h200", "A100", "", "a100|H200"};
  demand.gpus = between(gpus, 1, 2);
  demand.gpu_kind = kKinds[between(gpus, 0, 3)];
}

inline ClusterModel random_cluster(Random& random) {
  ClusterModel cluster;
  const std::uint32_t nodes = between(random, 0, 5);
  Random gpus = beside(random);
  const bool with_gpus = between(gpus, 0, 1) == 1;
  cluster.has_parts = between(gpus, 0, 2) == 0;
  for (std::uint32_t i = 0; i < nodes; ++i) {
    cluster.add_node("node" + std::to_string(i), between(random, 0, 8), between(random, 0, 16) * kGi);
    cluster.nodes.back().available = between(random, 0, 9) != 0;
    if (with_gpus) add_random_gpus(cluster.nodes.back(), beside(random));
  }
  const std::uint32_t jobs = between(random, 0, 8);
  for (std::uint32_t i = 0; i < jobs; ++i) add_random_job(cluster, random, static_cast<int>(i));
  return cluster;
}

/// Something happens to the cluster that the scheduler has no say in.
inline void disturb(ClusterModel& cluster, Random& random, int step) {
  switch (between(random, 0, 7)) {
    case 0:
      if (!cluster.leases.empty()) {
        cluster.lose_worker(
            cluster.leases[between(random, 0, static_cast<std::uint32_t>(cluster.leases.size()) - 1)].worker);
      }
      break;
    case 1:
      if (!cluster.nodes.empty()) {
        cluster.lose_node(
            cluster.nodes[between(random, 0, static_cast<std::uint32_t>(cluster.nodes.size()) - 1)].id);
      }
      break;
    case 2:
      if (!cluster.nodes.empty()) {
        NodeView& node =
            cluster.nodes[between(random, 0, static_cast<std::uint32_t>(cluster.nodes.size()) - 1)];
        node.available = !node.available;
      }
      break;
    case 3:
      if (!cluster.demands.empty()) {
        cluster.end_job(
            cluster.demands[between(random, 0, static_cast<std::uint32_t>(cluster.demands.size()) - 1)].job);
      }
      break;
    case 4:
      cluster.add_node("new" + std::to_string(step), between(random, 1, 8), 16 * kGi);
      if (has_gpus(cluster)) add_random_gpus(cluster.nodes.back(), beside(random));
      break;
    case 5:
      if (!cluster.demands.empty()) {
        Demand& demand =
            cluster.demands[between(random, 0, static_cast<std::uint32_t>(cluster.demands.size()) - 1)];
        demand.held = !demand.held;
      }
      break;
    case 6:
      cluster.finish_releases();
      break;
    default:
      add_random_job(cluster, random, 100 + step);
      break;
  }
}

inline std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

/// Guarantees leaves that are guaranteed slots up to `gpus` in all; those above them as much together.
inline void guarantee_random_gpus(TenantTree& tree, Random random, std::uint64_t gpus) {
  for (std::size_t queue = tree.queues.size() - 1; queue > 0; --queue) {
    QueueSpec& spec = tree.queues[queue];
    if (spec.is_leaf && spec.guaranteed > 0) {
      spec.guaranteed_gpus = below(random, gpus + 1);
      gpus -= spec.guaranteed_gpus;
    }
    if (spec.gpu_limit) spec.gpu_limit = std::max(*spec.gpu_limit, spec.guaranteed_gpus);
    tree.queues[spec.parent].guaranteed_gpus += spec.guaranteed_gpus;
  }
  tree.queues[TenantTree::kRoot].guaranteed_gpus = 0;
}

/// Two or three tenants, one of them with queues; `slots` are guaranteed in all at most. A third of the
/// trees guarantees GPUs, too.
inline TenantTree random_tenants(Random& random, std::uint64_t slots) {
  TenantTree tree;
  Random gpus = beside(random);
  const auto add = [&](const std::string& name, std::size_t parent, std::uint64_t guaranteed) {
    QueueSpec queue{
        .name = name, .parent = parent, .depth = tree[parent].depth + 1, .guaranteed = guaranteed};
    if (below(random, 3) == 0) queue.borrowing_limit = below(random, 5);
    if (parent == 0 && below(random, 3) == 0) queue.lending_limit = below(random, guaranteed + 1);
    if (below(gpus, 3) == 0) queue.gpu_limit = below(gpus, 5);
    queue.weight = 1 + static_cast<double>(below(random, 3));
    tree.queues[parent].is_leaf = false;
    tree.queues.push_back(queue);
    return tree.queues.size() - 1;
  };
  std::uint64_t left = slots;
  const auto some = [&] {
    const std::uint64_t part = below(random, left + 1);
    left -= part;
    return part;
  };
  add("a", 0, some());
  add("b", 0, some());
  const std::uint64_t all = some();
  const std::size_t c = add("c", 0, all);
  const std::uint64_t part = below(random, all + 1);
  add("x", c, part);
  add("y", c, all - part);
  if (Random more = beside(gpus); below(more, 3) == 0) guarantee_random_gpus(tree, more, 6);
  return tree;
}

}  // namespace ds::scheduler::testing
