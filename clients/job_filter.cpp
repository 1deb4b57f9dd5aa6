#include "clients/job_filter.hpp"

#include <fmt/format.h>

#include <set>

#include "clients/api_client.hpp"
#include "clients/failure.hpp"

namespace ds::clients {

std::string path_of_jobs(const JobFilter& filter) {
  std::string query;
  const auto add = [&](const std::string& name, const std::string& value) {
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, encode_segment(value));
  };
  std::set<std::string> keys;
  for (const std::string& label : filter.labels) {
    const auto at = label.find('=');
    if (at == std::string::npos || at == 0) {
      throw Failure(ExitCode::usage, "usage", fmt::format("--label: expected KEY=VALUE, got '{}'", label),
                    "such as --label team=search; ds-submit status JOB shows a job's labels");
    }
    const std::string key = label.substr(0, at);
    if (!keys.insert(key).second) {
      throw Failure(ExitCode::usage, "usage",
                    fmt::format("--label: '{}' is given twice, and a job has one value for it", key));
    }
    add("label." + encode_segment(key), label.substr(at + 1));
  }
  std::string states;
  for (const std::string& state : filter.states) states += (states.empty() ? "" : ",") + state;
  if (!states.empty()) add("state", states);
  if (!filter.tenant.empty()) add("tenant", filter.tenant);
  if (filter.active) add("active", "true");
  return "/api/v1/jobs" + query;
}

}  // namespace ds::clients
