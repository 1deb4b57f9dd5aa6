#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ds::scheduler {

/// A whole GPU, in thousandths.
constexpr std::uint32_t kWholeGpu = 1000;
constexpr std::uint64_t kAnyGpuType = std::numeric_limits<std::uint64_t>::max();

/// What a job asks of one node.
struct PackingDemand {
  std::uint32_t cpu_milli = 0;
  std::uint32_t memory_mib = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = kWholeGpu;    ///< of each; 1 to 1000
  std::uint64_t gpu_types = kAnyGpuType;  ///< bit i: GPUs of type i will do

  auto operator<=>(const PackingDemand&) const = default;
};

/// What is free on a node.
struct PackingNode {
  std::uint32_t cpu_milli = 0;
  std::uint32_t memory_mib = 0;
  std::uint32_t gpu_type = 0;            ///< below 64
  std::vector<std::uint32_t> gpu_milli;  ///< of each GPU, at most 1000
  std::uint64_t version = 0;             ///< another one after every change of what is free

  std::uint32_t free_gpu_milli() const;  ///< of all GPUs
};

struct Place {
  std::size_t node = 0;
  std::vector<std::uint32_t> gpus;  ///< numbers within the node

  bool operator==(const Place&) const = default;
};

bool fits(const PackingNode& node, const PackingDemand& demand);
/// The GPUs with the least free that the demand fits on; it must fit.
std::vector<std::uint32_t> tightest_gpus(const PackingNode& node, const PackingDemand& demand);
/// Takes what is demanded from the node's free resources; it must fit there.
void take(PackingNode& node, const PackingDemand& demand, std::span<const std::uint32_t> gpus);

/// Decides which node and GPUs a job gets, one job at a time, for ever.
///
/// Deterministic: a choice depends on the seed, the arguments and those of earlier calls, from which a policy
/// may learn what jobs usually ask for.
class PackingPolicy {
 public:
  virtual ~PackingPolicy() = default;

  /// Nothing when the demand fits nowhere. `nodes` are the same ones, in the same order, in every call.
  virtual std::optional<Place> choose(std::span<const PackingNode> nodes, const PackingDemand& demand) = 0;
};

/// A policy that the simulator, `ds-sim`, offers by name.
struct PackingPolicyEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<PackingPolicy> (*make)(std::uint64_t seed) = nullptr;
};

std::span<const PackingPolicyEntry> list_packing_policies();
const PackingPolicyEntry* find_packing_policy(std::string_view name);  ///< nullptr when there is none

std::unique_ptr<PackingPolicy> make_random_packing(std::uint64_t seed);
std::unique_ptr<PackingPolicy> make_best_fit_packing(std::uint64_t);
std::unique_ptr<PackingPolicy> make_fragmentation_packing(std::uint64_t seed);

}  // namespace ds::scheduler
