#include "actors/job/server_commits.hpp"

namespace ds::job {

void ServerCommits::on_paused(std::uint64_t server, const std::vector<parameters::Commit>& last) {
  commits_.erase(server);
  if (!last.empty()) commits_.emplace(server, last.front());
}

std::vector<parameters::Commit> ServerCommits::that_made(std::uint64_t step) const {
  for (const auto& [server, commit] : commits_) {
    if (commit.step_after() == step) return {commit};
  }
  return {};
}

}  // namespace ds::job
