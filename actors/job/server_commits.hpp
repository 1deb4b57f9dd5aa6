#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "actors/parameters/requests.hpp"

namespace ds::job {

/// The newest commit that each parameter server knows, as they told when they paused.
class ServerCommits {
 public:
  /// `last`: at most one. None: what it told in an earlier generation is of steps that it has no more.
  void on_paused(std::uint64_t server, const std::vector<parameters::Commit>& last);
  void on_lost(std::uint64_t server) { commits_.erase(server); }

  /// The commit that made step `step` (counted from 1) the newest, if one of them knows it; else none.
  std::vector<parameters::Commit> that_made(std::uint64_t step) const;

 private:
  std::map<std::uint64_t, parameters::Commit> commits_;
};

}  // namespace ds::job
