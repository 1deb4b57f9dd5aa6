#pragma once

#include <string>
#include <vector>

namespace ds::clients {

/// The path that lists jobs with all of these labels, `KEY=VALUE` each; of no labels: all jobs. Throws
/// `Failure` (usage) for one that isn't of this form, or a key that stands twice. Pure.
std::string path_of_jobs(const std::vector<std::string>& labels);

}  // namespace ds::clients
