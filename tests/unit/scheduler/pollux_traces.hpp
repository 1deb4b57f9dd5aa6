#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "scheduler/simulator/command.hpp"

namespace ds::simulator {

/// Traces that lie beside the repository on some machines only.
inline std::filesystem::path pollux_traces() {
  return std::filesystem::path(DS_SOURCE_DIR) / "../shared/traces/pollux-osdi21";
}

#define NEEDS_POLLUX_TRACES()                    \
  if (!std::filesystem::exists(pollux_traces())) \
  GTEST_SKIP() << "../shared/traces/pollux-osdi21 is not on this machine"

/// What `ds-sim --json` prints of a workload such as `load-1.0/workload-1`.
inline nlohmann::json run_pollux(const std::string& policy, const std::string& workload) {
  Command command;
  command.profiles = (pollux_traces() / "profiles").string();
  command.workload = (pollux_traces() / "workloads" / (workload + ".csv")).string();
  command.policy = policy;
  command.as_json = true;
  const auto text = run(command);
  if (!text) {
    ADD_FAILURE() << text.error().text;
    return {};
  }
  return nlohmann::json::parse(*text);
}

}  // namespace ds::simulator
