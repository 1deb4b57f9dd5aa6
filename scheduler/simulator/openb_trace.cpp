#include "scheduler/simulator/openb_trace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

using scheduler::PackingDemand;
using scheduler::PackingNode;

constexpr std::uint32_t kMaxGpus = 64;    ///< of a node
constexpr std::size_t kMaxGpuTypes = 64;  ///< of a cluster

std::size_t find_type(const OpenbCluster& cluster, std::string_view name) {
  return static_cast<std::size_t>(std::find(cluster.gpu_types.begin(), cluster.gpu_types.end(), name) -
                                  cluster.gpu_types.begin());
}

/// A bit for each named model that the cluster has.
std::uint64_t to_types(const OpenbCluster& cluster, std::string_view names) {
  if (names.empty()) return scheduler::kAnyGpuType;
  std::uint64_t types = 0;
  for (std::string_view rest = names; !rest.empty();) {
    const std::size_t bar = rest.find('|');
    const std::size_t type = find_type(cluster, rest.substr(0, bar));
    if (type < cluster.gpu_types.size()) types |= std::uint64_t{1} << type;
    rest = bar == std::string_view::npos ? std::string_view{} : rest.substr(bar + 1);
  }
  return types;
}

}  // namespace

Read<OpenbCluster> read_openb_nodes(const std::filesystem::path& file) {
  constexpr std::array kColumns{Column{"cpu_milli", Cell::whole}, Column{"memory_mib", Cell::whole},
                                Column{"gpu", Cell::whole}, Column{"model", Cell::text_or_none}};
  const auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  OpenbCluster cluster;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const auto refuse_cell = [&](std::size_t column, const std::string& why) {
      return refuse(fmt::format("{}:{}:{}: {}", file.string(), row + 2, table->place(row, column), why));
    };
    const std::uint32_t gpus = table->count(row, 2);
    const std::string& model = table->text(row, 3);
    if (gpus > kMaxGpus)
      return refuse_cell(2, fmt::format("gpu: expected at most {}, got {}", kMaxGpus, gpus));
    if (gpus > 0 && model.empty()) return refuse_cell(3, "model: expected the name of the GPUs, got nothing");
    std::size_t type = 0;
    if (gpus > 0) {
      type = find_type(cluster, model);
      if (type == kMaxGpuTypes)
        return refuse_cell(3, fmt::format("model: \"{}\" is the {}th model, expected at most {}", model,
                                          kMaxGpuTypes + 1, kMaxGpuTypes));
      if (type == cluster.gpu_types.size()) cluster.gpu_types.push_back(model);
    }
    PackingNode node{.cpu_milli = table->count(row, 0),
                     .memory_mib = table->count(row, 1),
                     .gpu_type = static_cast<std::uint32_t>(type),
                     .gpu_milli = std::vector(gpus, scheduler::kWholeGpu)};
    cluster.nodes.push_back(std::move(node));
  }
  if (cluster.gpu_types.empty()) return refuse(fmt::format("{}: no node has a GPU", file.string()));
  return cluster;
}

Read<std::vector<PackingDemand>> read_openb_pods(const std::filesystem::path& file,
                                                 const OpenbCluster& cluster) {
  constexpr std::array kColumns{Column{"cpu_milli", Cell::whole}, Column{"memory_mib", Cell::whole},
                                Column{"num_gpu", Cell::whole}, Column{"gpu_milli", Cell::whole},
                                Column{"gpu_spec", Cell::text_or_none, Presence::optional}};
  const auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<PackingDemand> pods;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const auto refuse_cell = [&](std::size_t column, const std::string& why) {
      return refuse(fmt::format("{}:{}:{}: {}", file.string(), row + 2, table->place(row, column), why));
    };
    PackingDemand pod{
        .cpu_milli = table->count(row, 0), .memory_mib = table->count(row, 1), .gpus = table->count(row, 2)};
    if (pod.gpus > 0) {
      pod.gpu_milli = table->count(row, 3);
      pod.gpu_types = to_types(cluster, table->text(row, 4));
      if (pod.gpu_milli == 0 || pod.gpu_milli > scheduler::kWholeGpu ||
          (pod.gpus > 1 && pod.gpu_milli != scheduler::kWholeGpu))
        return refuse_cell(3,
                           fmt::format("gpu_milli: expected 1 to {}, and {} of several GPUs, got {} of {}",
                                       scheduler::kWholeGpu, scheduler::kWholeGpu, pod.gpu_milli, pod.gpus));
      if (pod.gpu_types == 0)
        return refuse_cell(
            4, fmt::format("gpu_spec: no node has one of \"{}\"; there are {}",
                           table->text(row, 4).substr(0, 200), fmt::join(cluster.gpu_types, ", ")));
    }
    pods.push_back(pod);
  }
  if (std::none_of(pods.begin(), pods.end(), [](const PackingDemand& pod) { return pod.gpus > 0; }))
    return refuse(fmt::format("{}: no pod asks for a GPU", file.string()));
  return pods;
}

}  // namespace ds::simulator
