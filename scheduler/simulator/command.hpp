#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

/// What `ds-sim` was asked for. What is not set has a default that depends on the family, or does not apply
/// to it and is refused.
struct Command {
  std::string family = "pollux";
  std::string profiles;
  std::string workload;
  std::string policy = "ds";
  std::optional<std::string> cluster;
  std::optional<std::uint32_t> round_s;
  std::optional<std::uint32_t> restart_s;
  bool heeds_events = false;  ///< plans between rounds too, when a job comes, ends or has news
  std::optional<std::uint32_t> load_percent;
  std::optional<std::uint64_t> seed;
  std::string plot;  ///< a file to draw into; empty: none
  bool as_json = false;
  bool lists_policies = false;
  std::function<double()> clock_ms;  ///< real time, to measure plans; may be empty
  Warn warn;                         ///< of what is not read or not measured; may be empty
};

/// What to print. Refuses wrong input with the file and place, or the argument, and what to write instead.
Read<std::string> run(const Command& command);

}  // namespace ds::simulator
