#pragma once

#include <string>
#include <vector>

namespace ds::clients {

/// Which jobs are listed: those for which all of this holds.
struct JobFilter {
  std::vector<std::string> labels = {};  ///< they have all of these, `KEY=VALUE` each
  std::vector<std::string> states = {};  ///< they are in one of these; none: in any
  std::string tenant = {};               ///< empty: any
  bool active = false;                   ///< they have not ended

  bool takes_all() const { return labels.empty() && states.empty() && tenant.empty() && !active; }
};

/// The path that lists these jobs. Throws `Failure` (usage) for a label that isn't of this form, or a key
/// that stands twice. Pure.
std::string path_of_jobs(const JobFilter& filter);

}  // namespace ds::clients
