#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/simulation.hpp"

namespace ds::simulator {

/// A family of traces whose jobs run for a time and end.
struct Family {
  std::string_view name;
  std::string_view profiles{};  ///< what `--profiles` names; empty: nothing
  std::string_view cluster{};   ///< the one that it was published for, and what goes with it
  std::uint32_t round_s = 60;
  std::uint32_t restart_s = 30;
  bool models_restarts =
      false;               ///< by a rule of its own, unless told otherwise; then `restart_s` means nothing
  bool has_kinds = false;  ///< of GPU, which `cluster` names
  bool promises_rounds = false;  ///< to its jobs for their deadlines, so that nothing can be planned between
  /// Whether its jobs can be run under the policy.
  bool (*suits)(const scheduler::PolicyEntry& policy) = nullptr;
  Read<Outcome> (*run)(const std::filesystem::path& profiles, const std::filesystem::path& workload,
                       const scheduler::PolicyEntry& policy, const SimulationSettings& settings) = nullptr;
};

std::span<const Family> list_families();

}  // namespace ds::simulator
