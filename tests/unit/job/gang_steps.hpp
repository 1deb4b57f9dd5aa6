#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "actors/job/gang.hpp"

namespace ds::job {

using std::chrono::milliseconds;

template <class Action>
std::vector<Action> of(const GangActions& actions) {
  std::vector<Action> found;
  for (const auto& action : actions) {
    if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
  }
  return found;
}

inline Gang::Options options(std::uint32_t logical_ranks, std::uint32_t min_workers) {
  Gang::Options chosen;
  chosen.logical_ranks = logical_ranks;
  chosen.min_workers = min_workers;
  return chosen;
}

inline const WorkerStatus kReady{WorkerPhase::ready, 0, 0};

/// Brings a fresh gang of `workers` (1, 2, …) to training.
inline void form(Gang& gang, std::uint64_t workers) {
  std::vector<GangLease> leases;
  for (std::uint64_t id = 1; id <= workers; ++id) leases.push_back({id, false});
  gang.set_leases(leases, milliseconds(0));
  for (std::uint64_t id = 1; id <= workers; ++id) gang.on_hello(id, kReady, milliseconds(0));
  for (std::uint64_t id = 1; id <= workers; ++id) gang.on_paused(id, gang.generation(), 0, milliseconds(0));
  gang.on_recorded(gang.generation(), milliseconds(0));
  for (std::uint64_t id = 1; id <= workers; ++id) gang.on_joined(id, gang.generation(), milliseconds(0));
  ASSERT_TRUE(gang.is_training());
}

}  // namespace ds::job
