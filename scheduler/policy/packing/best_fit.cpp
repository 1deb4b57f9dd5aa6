#include <algorithm>
#include <limits>

#include "scheduler/policy/packing/packing_policy.hpp"

namespace ds::scheduler {
namespace {

/// Of the nodes that the job fits on the one that is left with the least, CPU and GPUs each as a share of the
/// most that a node has free and weighing alike, and there the GPUs with the least free.
class BestFit final : public PackingPolicy {
 public:
  std::optional<Place> choose(std::span<const PackingNode> nodes, const PackingDemand& demand) override {
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      most_cpu_ = std::max(most_cpu_, nodes[node].cpu_milli);
      most_gpu_ = std::max(most_gpu_, nodes[node].free_gpu_milli());
    }
    std::optional<std::size_t> best;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      if (!fits(nodes[node], demand)) continue;
      const double left = static_cast<double>(nodes[node].cpu_milli) / most_cpu_ +
                          static_cast<double>(nodes[node].free_gpu_milli()) / most_gpu_;
      if (left >= least) continue;
      least = left;
      best = node;
    }
    if (!best) return std::nullopt;
    return Place{*best, tightest_gpus(nodes[*best], demand)};
  }

 private:
  std::uint32_t most_cpu_ = 1;  ///< ever free on a node
  std::uint32_t most_gpu_ = 1;
};

}  // namespace

std::unique_ptr<PackingPolicy> make_best_fit_packing(std::uint64_t) {
  return std::make_unique<BestFit>();
}

}  // namespace ds::scheduler
