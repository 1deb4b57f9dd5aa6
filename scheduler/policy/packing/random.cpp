#include <algorithm>

#include "scheduler/policy/packing/packing_policy.hpp"

namespace ds::scheduler {
namespace {

/// Any node that the job fits on, and any GPUs of it, each as likely as the others.
class Random final : public PackingPolicy {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::optional<Place> choose(std::span<const PackingNode> nodes, const PackingDemand& demand) override {
    std::vector<std::size_t> possible;
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      if (fits(nodes[node], demand)) possible.push_back(node);
    }
    if (possible.empty()) return std::nullopt;
    const std::size_t node = possible[below(possible.size())];
    std::vector<std::uint32_t> gpus;
    for (std::uint32_t gpu = 0; demand.gpus > 0 && gpu < nodes[node].gpu_milli.size(); ++gpu) {
      if (nodes[node].gpu_milli[gpu] >= demand.gpu_milli) gpus.push_back(gpu);
    }
    while (gpus.size() > demand.gpus)
      gpus.erase(gpus.begin() + static_cast<std::ptrdiff_t>(below(gpus.size())));
    return Place{node, std::move(gpus)};
  }

 private:
  /// SplitMix64; the rest of so small a divisor is as good as even.
  std::uint64_t below(std::uint64_t count) {
    std::uint64_t mixed = state_ += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return (mixed ^ (mixed >> 31)) % count;
  }

  std::uint64_t state_;
};

}  // namespace

std::unique_ptr<PackingPolicy> make_random_packing(std::uint64_t seed) {
  return std::make_unique<Random>(seed);
}

}  // namespace ds::scheduler
