#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <unordered_map>

#include "scheduler/policy/packing/packing_policy.hpp"

namespace ds::scheduler {
namespace {

/// The newest jobs, which stand for those to come.
constexpr std::size_t kRemembered = 4096;
/// Orders in which a node is filled, and jobs of each that are tried.
constexpr std::size_t kOrders = 8;
constexpr std::size_t kTries = 64;
/// New orders are drawn when so much of what is remembered is new.
constexpr double kNewShare = 0.25;
/// Of equally good nodes the fullest: thousandths of waste that a free GPU counts as, too few to decide
/// otherwise.
constexpr double kFreeGpu = 0.01;
constexpr std::size_t kMaxDemands = 512;       ///< whose scores are kept
constexpr std::size_t kMaxStates = 1'000'000;  ///< of nodes whose waste is kept

/// What is likely to be left of a node's GPUs for ever.
class Waste {
 public:
  explicit Waste(std::uint64_t seed) : random_(seed) {}

  /// Remembers a job; true when from now on other values come out.
  bool learn(const PackingDemand& demand) {
    if (remembered_.size() < kRemembered)
      remembered_.push_back(demand);
    else
      remembered_[learned_ % kRemembered] = demand;
    ++learned_;
    if (static_cast<double>(++since_drawn_) < kNewShare * static_cast<double>(remembered_.size()))
      return false;
    since_drawn_ = 0;
    for (auto& order : orders_) {
      order.clear();
      while (order.size() < kTries) order.push_back(remembered_[random_() % remembered_.size()]);
    }
    known_.clear();
    return true;
  }

  /// In thousandths of a GPU.
  double of(const PackingNode& node) {
    if (known_.size() >= kMaxStates) known_.clear();
    const auto [known, is_new] = known_.try_emplace(to_key(node), 0);
    if (!is_new) return known->second;
    double left = 0;
    for (const auto& order : orders_) left += fill(node, order);
    return known->second = left / kOrders;
  }

 private:
  static double fill(PackingNode node, std::span<const PackingDemand> order) {
    for (const PackingDemand& demand : order) {
      if (!fits(node, demand)) continue;
      take(node, demand, tightest_gpus(node, demand));
      if (node.free_gpu_milli() == 0) return 0;
    }
    return node.free_gpu_milli();
  }

  /// Equal for nodes that jobs cannot tell apart.
  static std::string to_key(const PackingNode& node) {
    std::vector<std::uint32_t> state = node.gpu_milli;
    std::sort(state.begin(), state.end());
    state.insert(state.end(), {node.cpu_milli, node.memory_mib, node.gpu_type});
    return {reinterpret_cast<const char*>(state.data()), state.size() * sizeof(state.front())};
  }

  std::mt19937_64 random_;
  std::vector<PackingDemand> remembered_;
  std::size_t learned_ = 0;
  std::size_t since_drawn_ = 0;
  std::array<std::vector<PackingDemand>, kOrders> orders_;
  std::unordered_map<std::string, double> known_;
};

/// Puts a job where the waste grows least: the GPUs that are expected to stay free when others have filled
/// the node.
///
/// Fragmentation gradient descent (Weng et al., ATC 2023) counts as fragments what the next job cannot use,
/// of all that usually come. That calls half a GPU lost that two halves would fill, and sees no shortage of
/// CPU before it is there. Here the node is filled to the end, in a few random orders of the jobs that came,
/// the same ones for all nodes and choices, so that chance does not decide between them.
class Fragmentation final : public PackingPolicy {
 public:
  explicit Fragmentation(std::uint64_t seed) : waste_(seed) {}

  std::optional<Place> choose(std::span<const PackingNode> nodes, const PackingDemand& demand) override {
    if (waste_.learn(demand) || scores_.size() >= kMaxDemands) scores_.clear();
    std::vector<Score>& scores = scores_[demand];
    scores.resize(nodes.size());
    std::optional<std::size_t> best;
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      if (scores[node].version != nodes[node].version) scores[node] = score(nodes[node], demand);
      if (scores[node].more < (best ? scores[*best].more : kNever)) best = node;
    }
    if (!best) return std::nullopt;
    return Place{*best, choose_gpus(nodes[*best], demand, scores[*best].gpu)};
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  /// Of one demand on one node.
  struct Score {
    std::uint64_t version = std::numeric_limits<std::uint64_t>::max();  ///< of the node, when it was made
    double more = kNever;   ///< waste; infinite where it does not fit
    std::uint32_t gpu = 0;  ///< the best one for a job of one GPU
  };

  static std::vector<std::uint32_t> choose_gpus(const PackingNode& node, const PackingDemand& demand,
                                                std::uint32_t gpu) {
    return demand.gpus == 1 ? std::vector{gpu} : tightest_gpus(node, demand);
  }

  Score score(const PackingNode& node, const PackingDemand& demand) {
    Score best{.version = node.version};
    if (!fits(node, demand)) return best;
    const double before = waste_.of(node) - kFreeGpu * node.free_gpu_milli() / kWholeGpu;
    const auto try_gpu = [&](std::uint32_t gpu) {
      PackingNode after = node;
      take(after, demand, choose_gpus(node, demand, gpu));
      const double more = waste_.of(after) - before;
      if (more < best.more) best = {node.version, more, gpu};
    };
    if (demand.gpus != 1) {
      try_gpu(0);
      return best;
    }
    for (auto gpu = node.gpu_milli.begin(); gpu != node.gpu_milli.end(); ++gpu) {
      const bool is_like_another = std::find(node.gpu_milli.begin(), gpu, *gpu) != gpu;
      if (*gpu >= demand.gpu_milli && !is_like_another)
        try_gpu(static_cast<std::uint32_t>(gpu - node.gpu_milli.begin()));
    }
    return best;
  }

  Waste waste_;
  std::map<PackingDemand, std::vector<Score>> scores_;
};

}  // namespace

std::unique_ptr<PackingPolicy> make_fragmentation_packing(std::uint64_t seed) {
  return std::make_unique<Fragmentation>(seed);
}

}  // namespace ds::scheduler
