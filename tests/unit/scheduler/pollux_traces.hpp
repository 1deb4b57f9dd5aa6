#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/scheduler/family_test.hpp"

namespace ds::simulator {

inline constexpr const char* kPolluxTraces = "pollux-osdi21";

/// What `ds-sim --json` prints of a workload such as `load-1.0/workload-1`.
inline nlohmann::json run_pollux(const std::string& policy, const std::string& workload) {
  const auto traces = published_traces(kPolluxTraces);
  Command command;
  command.profiles = (traces / "profiles").string();
  command.workload = (traces / "workloads" / (workload + ".csv")).string();
  command.policy = policy;
  command.as_json = true;
  return report_of(command);
}

}  // namespace ds::simulator
