#include "clients/label_filter.hpp"

#include <fmt/format.h>

#include <set>

#include "clients/api_client.hpp"
#include "clients/failure.hpp"

namespace ds::clients {

std::string path_of_jobs(const std::vector<std::string>& labels) {
  std::string path = "/api/v1/jobs";
  std::set<std::string> keys;
  for (const std::string& label : labels) {
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
    path += fmt::format("{}label.{}={}", keys.size() == 1 ? '?' : '&', encode_segment(key),
                        encode_segment(label.substr(at + 1)));
  }
  return path;
}

}  // namespace ds::clients
