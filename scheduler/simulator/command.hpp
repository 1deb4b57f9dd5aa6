#pragma once

#include <functional>
#include <string>

#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

/// What `ds-sim` was asked for.
struct Command {
  std::string family = "pollux";
  std::string profiles;
  std::string workload;
  std::string policy = "ds";
  std::string cluster = "16x4";
  std::uint32_t round_s = 60;
  std::uint32_t restart_s = 30;
  bool as_json = false;
  bool lists_policies = false;
  std::function<double()> clock_ms;  ///< real time, to measure plans; may be empty
};

/// What to print. Refuses wrong input with the file and place, or the argument, and what to write instead.
Read<std::string> run(const Command& command);

}  // namespace ds::simulator
