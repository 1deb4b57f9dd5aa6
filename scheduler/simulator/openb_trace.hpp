#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "scheduler/policy/packing/packing_policy.hpp"
#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

struct OpenbCluster {
  std::vector<scheduler::PackingNode> nodes;  ///< empty ones
  std::vector<std::string> gpu_types;         ///< names, by number
};

/// The machines of the OpenB trace (FGD, ATC 2023): columns `cpu_milli`, `memory_mib`, `gpu` and `model`,
/// which may be empty where there is no GPU. Refusals name `file:line:column`.
Read<OpenbCluster> read_openb_nodes(const std::filesystem::path& file);

/// Its pods: columns `cpu_milli`, `memory_mib`, `num_gpu`, `gpu_milli` and, where there is one, `gpu_spec`,
/// the models that will do with `|` between them, empty for any. Of these `cluster` must have at least one.
Read<std::vector<scheduler::PackingDemand>> read_openb_pods(const std::filesystem::path& file,
                                                            const OpenbCluster& cluster);

}  // namespace ds::simulator
